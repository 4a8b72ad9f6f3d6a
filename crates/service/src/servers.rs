//! Servers as their own service (ECS, contract F.4) shows them.

use cbr_model::query::{Listing, Page};
use cbr_model::{ResourceId, Timestamp};

use crate::{Access, Error, Result};

/// Use cases of servers.
#[derive(Debug)]
pub struct Servers {}

/// A server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerView {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: ServerStatus,
    /// What is wrong with a server in error.
    pub fault: Option<String>,
    /// Its availability zone.
    pub availability_zone: String,
    /// Its disks, the system disk first.
    pub volumes: Vec<ServerVolume>,
    /// When it was made, as far as known.
    pub created_at: Timestamp,
}

/// A disk of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerVolume {
    /// The disk.
    pub id: ResourceId,
    /// Its name there, e.g. `/dev/vda`.
    pub device: String,
    /// 0 for the system disk.
    pub boot_index: usize,
}

/// State of a server (contract F.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ServerStatus {
    /// Runs.
    Active,
    /// Is off.
    Shutoff,
    /// In fault.
    Error,
}

impl ServerStatus {
    /// ECS's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Shutoff => "SHUTOFF",
            Self::Error => "ERROR",
        }
    }
}

/// Which servers. Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerFilter {
    /// One of these.
    pub ids: Vec<ResourceId>,
    /// Name contains.
    pub name: Option<String>,
    /// ECS's word.
    pub status: Option<String>,
}

impl Servers {
    /// Lists servers in order of their ids.
    pub async fn list(
        &self,
        access: &Access,
        filter: &ServerFilter,
        page: Page,
    ) -> Result<Listing<ServerView>> {
        let _ = (access, filter, page);
        Err(later("listing servers"))
    }

    /// One server.
    pub async fn show(&self, access: &Access, id: ResourceId) -> Result<ServerView> {
        let _ = (access, id);
        Err(later("reading a server"))
    }
}

fn later(doing: &'static str) -> Error {
    Error::internal(doing)("first phase")
}
