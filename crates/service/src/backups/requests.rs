//! What is asked of backups, and what is told about them.

use cbr_model::{BackupId, ResourceId};

/// A restore that is asked for (contract C31).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreRequest {
    /// The server a server backup goes to; none: the one it was made of.
    pub server: Option<ResourceId>,
    /// The disk a disk backup goes to; none: the one it was made of.
    pub volume: Option<ResourceId>,
    /// The generic name for either.
    pub resource: Option<ResourceId>,
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

/// What a backup costs. All in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BackupSizes {
    /// Size of the disks.
    pub disk_bytes: u64,
    /// Blocks in use when it was made: what a copy of it takes.
    pub used_bytes: u64,
    /// What the guide shows and counts against the vault (BAK-31, BAK-32).
    pub logical_bytes: u64,
    /// Blocks that differ from the backup before; of a first one, all that were in use.
    pub changed_bytes: u64,
    /// What it added to the store when it was made.
    pub stored_bytes: u64,
    /// What of the store only it needs.
    pub unique_bytes: u64,
    /// What of the store it and others need.
    pub shared_bytes: u64,
}

/// What deleting some backups together would free (VLT-85).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WhatIf {
    /// Each of them.
    pub backups: Vec<(BackupId, BackupSizes)>,
    /// Bytes of the store that no other backup needs.
    pub freed_bytes: u64,
    /// What the vaults' used capacity would fall by.
    pub logical_bytes: u64,
}
