//! Fields of a backup that the contract does not have (VLT-85, P35). Their names begin with `x-`.

use cbr_model::size::Bytes;
use cbr_service::backups;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// What a backup costs; a server backup's numbers are the sums of its disks. What is null is being
/// counted, or changes with other disks: ask `/x/backups/{backup_id}/sizes`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = BackupExtraSizes)]
pub(super) struct Sizes {
    /// Size of the backed-up disks.
    disk_bytes: u64,
    /// Blocks in use when it was made.
    used_bytes: Option<u64>,
    /// First backup: used blocks; later: changed blocks. What counts against the vault.
    logical_bytes: u64,
    /// Blocks that differ from the backup before; of a first one, all that were in use.
    changed_bytes: Option<u64>,
    /// What it added to the store, compressed and sealed.
    stored_bytes: u64,
    /// What of the store only this backup needs now: what deleting it would free.
    unique_bytes: Option<u64>,
    /// What of the store this backup and others need now.
    shared_bytes: Option<u64>,
}

/// Whether a backup can be restored, as far as anybody looked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = BackupExtraIntegrity)]
pub(super) struct Integrity {
    /// `ok`, `damaged` or `unknown`: nobody has looked yet.
    state: &'static str,
    /// How closely it was looked at: `full`, every byte; null if it never was.
    level: Option<&'static str>,
    /// When every byte of it was last read and found right.
    verified_at: Option<String>,
    /// How many byte ranges cannot be restored; `/x/backups/{backup_id}/integrity` names them.
    affected_ranges: u64,
}

impl From<&backups::Extras> for Sizes {
    fn from(extras: &backups::Extras) -> Self {
        let bytes = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.0);
        Self {
            disk_bytes: extras.disk_bytes,
            used_bytes: bytes(extras.counted.used),
            logical_bytes: extras.logical_bytes,
            changed_bytes: bytes(extras.counted.changed),
            stored_bytes: extras.stored_bytes,
            unique_bytes: bytes(extras.counted.unique),
            shared_bytes: bytes(extras.counted.shared),
        }
    }
}

impl From<&backups::Extras> for Integrity {
    fn from(extras: &backups::Extras) -> Self {
        let known = &extras.integrity;
        Self {
            state: known.state.as_str(),
            // Only what was read to its last byte is marked as verified.
            level: known.verified_at.map(|_| "full"),
            verified_at: known.verified_at.map(time::format),
            affected_ranges: extras.affected_ranges,
        }
    }
}
