//! What is asked of backups, and what is told about them.

use cbr_model::{BackupId, ResourceId};

/// A restore that is asked for (contract C31).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreRequest {
    /// The server a server backup goes to; none: the one it was made of.
    pub server: Option<ResourceId>,
    /// The disk a disk backup goes to; none: the one it was made of.
    pub volume: Option<ResourceId>,
    /// Which disk each child goes to; a child that is not named goes to its own.
    pub mappings: Vec<DiskMapping>,
    /// Whether the server is started afterwards (RST-07).
    pub power_on: bool,
}

/// Where one disk of a server backup goes (RST-08).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskMapping {
    /// The child backup.
    pub backup: BackupId,
    /// The disk.
    pub volume: ResourceId,
}

/// What deleting a backup would free (VLT-85).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeletePreview {
    /// Bytes of the store that no other backup needs.
    pub stored_bytes: u64,
    /// What the vault's used capacity would fall by.
    pub logical_bytes: u64,
}
