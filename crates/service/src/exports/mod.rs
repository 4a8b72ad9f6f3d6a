//! Backups given out as disks over NBD: mounted, copied, booted.

mod disk;
mod host;
mod service;
mod settings;

pub use disk::VersionDisk;
pub(crate) use host::Host;
pub use service::{ExportStatus, ExportView, Exports};
pub(crate) use service::{refuse_exported, refuse_exported_in_vault};
pub use settings::{ExportNetwork, ExportSettings};
