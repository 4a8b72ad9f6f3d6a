//! Backups: listing, renaming, deleting, restoring.

mod extras;
mod requests;
mod service;
mod sizes;

pub use extras::Extras;
pub use requests::{BackupSizes, DiskMapping, RestoreRequest, WhatIf};
pub use service::Backups;
pub(crate) use service::existing;
