//! Backups: listing, renaming, deleting, restoring.

mod extras;
mod reach;
mod requests;
mod service;
mod sizes;

pub use extras::Extras;
pub use reach::{DescribedBackup, Surroundings};
pub(crate) use reach::{existing, readable, readable_whole, snapshot_taken, visible};
pub use requests::{BackupSizes, DiskMapping, RestoreRequest, WhatIf};
pub use service::Backups;
pub(crate) use service::{begin_delete, begin_deletion};
