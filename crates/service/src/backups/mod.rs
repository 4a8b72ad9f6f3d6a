//! Backups: listing, renaming, deleting, restoring.

mod requests;
mod service;

pub use requests::{DeletePreview, DiskMapping, RestoreRequest};
pub use service::Backups;
pub(crate) use service::existing;
