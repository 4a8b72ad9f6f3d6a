//! What can be backed up, and how it is reached.
//!
//! [`provider`] holds the traits, split by ability; one folder per provider
//! implements them. A provider knows disks and servers of the outside world; it
//! knows no vault, no tenant and no database. Everything it does to the outside
//! may be repeated after a crash and then leaves the same result behind.
//!
//! `contract` is that promise as code: every provider passes it, `fake` as well.

pub mod bucket;
pub mod disk;
pub mod error;
pub mod local;
pub mod provider;
pub mod resource;
pub mod snapshot;

#[cfg(feature = "fake")]
pub mod contract;
#[cfg(feature = "fake")]
pub mod fake;

pub use bucket::{Bucket, BucketError, DirectoryBucket, ObjectPath};
pub use disk::{DiskReader, DiskWriter};
pub use error::{ProviderError, Result};
pub use local::{LocalConfig, LocalProvider, qcow2_image};
pub use provider::{BackupSource, Factory, Inventory, Provider, RestoreTarget, ServerFactory};
pub use resource::{
    AttachedVolume, Attachment, NewServer, NewVolume, Page, PageRequest, Pool, Quiescence, Server,
    ServerStatus, Volume, VolumeFormat, VolumeStatus,
};
pub use snapshot::{DiskSelection, Leftover, LeftoverKind, SnapshotDisk, SnapshotName, TaskEnd};
