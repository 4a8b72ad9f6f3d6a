//! Backups: listing, renaming, deleting, restoring.

mod requests;
mod service;
mod sizes;

pub use requests::{BackupSizes, DiskMapping, RestoreRequest, WhatIf};
pub use service::Backups;
pub(crate) use service::existing;
