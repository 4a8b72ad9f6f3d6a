//! How a resource was set up when it was backed up (contract C34). Written down with the backup, so
//! that it can be looked up after the resource has changed or gone.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::ResourceId;

/// How a resource was set up. Stored as JSON: fields are added, never renamed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackupMetadata {
    /// The server; none for a disk.
    pub server: Option<ServerMetadata>,
    /// The server's disks, the system disk first, or the disk itself.
    pub volumes: Vec<VolumeMetadata>,
}

/// How a server was set up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// The native word for its state.
    pub status: String,
    /// Where it was.
    pub availability_zone: String,
    /// When it came to be.
    pub created_at: Timestamp,
    /// Its disks, the system disk first.
    pub attached: Vec<AttachedMetadata>,
}

/// A disk at a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AttachedMetadata {
    /// The disk.
    pub volume: ResourceId,
    /// Where the server saw it.
    pub device: String,
    /// 0 for the system disk.
    pub index: usize,
}

/// How a disk was set up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VolumeMetadata {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// What people wrote about it.
    pub description: String,
    /// Bytes.
    pub size_bytes: u64,
    /// The native word for its state.
    pub status: String,
    /// The pool it lay in.
    pub pool: String,
    /// Where it was.
    pub availability_zone: String,
    /// Whether a server booted from it.
    pub bootable: bool,
    /// Whether its owner encrypts it. Nothing that was written before this was noted says so.
    #[serde(default)]
    pub encrypted: bool,
    /// When it came to be.
    pub created_at: Timestamp,
}
