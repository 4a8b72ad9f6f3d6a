//! The trash on the wire.

use cbr_service::trash::InTrash;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;
use crate::v3::backups::wire::Backup;

/// A backup that was deleted and can be taken back.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TrashedBackup {
    /// As it was, and would be again. Its vault may be gone.
    backup: Backup,
    /// What it would take of the vault's used capacity.
    logical_bytes: u64,
    /// When it was deleted; after a loss of the database, when that was noticed.
    deleted_at: String,
    /// From when on it is given up for good.
    purged_from: String,
}

impl From<InTrash> for TrashedBackup {
    fn from(trashed: InTrash) -> Self {
        Self {
            logical_bytes: trashed.logical_bytes.0,
            deleted_at: time::format(trashed.trashed_at),
            purged_from: time::format(trashed.purged_from),
            backup: Backup::plain(trashed.backup),
        }
    }
}

/// Body of an answer that names the task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskStarted)]
pub(crate) struct Started {
    /// The operation log to follow.
    pub(crate) job_id: String,
}
