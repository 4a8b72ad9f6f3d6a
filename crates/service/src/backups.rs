//! Backups: listing, renaming, deleting, restoring.

use cbr_model::backup::Backup;
use cbr_model::query::{BackupFilter, Listing, Page};
use cbr_model::{BackupId, ResourceId, TaskId};

use crate::{Access, Error, Result};

/// Use cases of backups.
#[derive(Debug)]
pub struct Backups {}

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

impl Backups {
    /// Lists backups (contract C27); children only with `filter.parent`.
    pub async fn list(
        &self,
        access: &Access,
        filter: &BackupFilter,
        page: Page,
    ) -> Result<Listing<Backup>> {
        let _ = (access, filter, page);
        Err(later("listing backups"))
    }

    /// One backup with its children (contract C28).
    pub async fn show(&self, access: &Access, id: BackupId) -> Result<Backup> {
        let _ = (access, id);
        Err(later("reading a backup"))
    }

    /// Renames it (contract C29).
    pub async fn rename(&self, access: &Access, id: BackupId, name: String) -> Result<Backup> {
        let _ = (access, id, name);
        Err(later("renaming a backup"))
    }

    /// Deletes it with its children (contract C30); done by the task whose id is returned.
    pub async fn delete(&self, access: &Access, id: BackupId) -> Result<TaskId> {
        let _ = (access, id);
        Err(later("deleting a backup"))
    }

    /// What deleting it would free: known before, equal after.
    pub async fn preview_delete(&self, access: &Access, id: BackupId) -> Result<DeletePreview> {
        let _ = (access, id);
        Err(later("previewing a deletion"))
    }

    /// Restores it (contract C31); done by the task whose id is returned.
    pub async fn restore(
        &self,
        access: &Access,
        id: BackupId,
        request: RestoreRequest,
    ) -> Result<TaskId> {
        let _ = (access, id, request);
        Err(later("restoring a backup"))
    }
}

fn later(doing: &'static str) -> Error {
    Error::internal(doing)("first phase")
}
