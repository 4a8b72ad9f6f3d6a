//! Resources: the things a vault protects.

use serde::{Deserialize, Serialize};

use crate::id::{ChainId, ResourceId};
use crate::size::{Bytes, Gib};

/// What a resource is (contract B.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ResourceKind {
    /// A server with its disks.
    #[serde(rename = "OS::Nova::Server")]
    Server,
    /// One disk.
    #[serde(rename = "OS::Cinder::Volume")]
    Volume,
    /// A server elsewhere, of which images are taken in and nothing else is here (contract C33). Hosts with
    /// an agent, whose directories would be meant, have the same word; no agent makes backups.
    #[serde(rename = "OS::Native::Server")]
    Native,
}

impl ResourceKind {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "OS::Nova::Server",
            Self::Volume => "OS::Cinder::Volume",
            Self::Native => "OS::Native::Server",
        }
    }

    /// What people call it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Volume => "disk",
            Self::Native => "host",
        }
    }

    /// The kind the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::Server, Self::Volume, Self::Native].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A type of resource as callers name it (contract B.6): one that can be here, or one of which there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceType {
    /// One of those that are backed up.
    Kind(ResourceKind),
    /// A file system. There is no provider of any.
    Turbo,
}

impl ResourceType {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.as_str(),
            Self::Turbo => "OS::Sfs::Turbo",
        }
    }

    /// The type the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        let kind = ResourceKind::from_str_exact(text).map(Self::Kind);
        kind.or_else(|| (text == Self::Turbo.as_str()).then_some(Self::Turbo))
    }
}

impl From<ResourceKind> for ResourceType {
    fn from(kind: ResourceKind) -> Self {
        Self::Kind(kind)
    }
}

/// What happens to a bound resource just now (contract B.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtectStatus {
    /// Nothing runs.
    Available,
    /// The last operation failed in a way that needs a person.
    Error,
    /// A backup runs.
    Protecting,
    /// A restore runs.
    Restoring,
    /// It is being taken out of the vault with all its backups.
    Removing,
}

impl ProtectStatus {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Error => "error",
            Self::Protecting => "protecting",
            Self::Restoring => "restoring",
            Self::Removing => "removing",
        }
    }

    /// The status the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::Available, Self::Error, Self::Protecting, Self::Restoring, Self::Removing]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// A disk of a server that is meant by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncludedVolume {
    /// The disk.
    pub id: ResourceId,
    /// What its owner says runs on it; kept and shown, and nothing depends on it.
    pub os_version: Option<String>,
}

/// A resource in a vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoundResource {
    /// Its id at the provider.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
    /// Its name when it was last seen.
    pub name: String,
    /// Its size when it was last seen, rounded up.
    pub size: Gib,
    /// What happens to it just now.
    pub protect_status: ProtectStatus,
    /// Disks of a server that are left out (RES-09). Insertion order.
    pub exclude_volumes: Vec<ResourceId>,
    /// If there are any, only these disks of a server are taken, and none that is attached later
    /// (RES-09). Insertion order.
    pub include_volumes: Vec<IncludedVolume>,
    /// Whether automatic backups take it.
    pub auto_protect: bool,
    /// Its restore points in the store. Survives a migration to another vault.
    pub chain: ChainId,
    /// Raised by each independent full backup, which shares nothing with older ones (BAK-39).
    pub epoch: u32,
    /// Logical size of all its backups.
    pub backup_bytes: Bytes,
    /// How many backups of it the vault holds.
    pub backup_count: u64,
}
