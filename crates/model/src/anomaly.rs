//! Backups that look unlike those before them: much more changed, and it does not compress.

use crate::Timestamp;
use crate::id::{BackupId, ProjectId, ResourceId, VaultId};
use crate::size::Bytes;

/// What a backup says about its resource: of a server the sum of its disks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Size of the disks.
    pub disk: Bytes,
    /// What changed since the backup before (BAK-31).
    pub changed: Bytes,
    /// What that added to the store: compressed, and without what was there already.
    pub added: Bytes,
}

/// A backup that looks suspicious. Until somebody confirms it, nothing of its resource expires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anomaly {
    /// The backup.
    pub backup: BackupId,
    /// Its project.
    pub project: ProjectId,
    /// Its vault.
    pub vault: VaultId,
    /// What it is of.
    pub resource: ResourceId,
    /// The last backup before it that looked as usual.
    pub clean: Option<BackupId>,
    /// What is unlike, for people.
    pub what: String,
    /// When it was found.
    pub found_at: Timestamp,
    /// When somebody said that it is as it should be, or dealt with.
    pub confirmed_at: Option<Timestamp>,
}
