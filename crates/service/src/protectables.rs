//! Protectables: resources a vault could take.

use cbr_model::ResourceId;
use cbr_model::query::Page;
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::vault::{Vault, VaultKind};

use crate::servers::ServerView;
use crate::volumes::VolumeView;
use crate::{Access, Error, Result};

/// The largest page of protectables (contract C53).
pub const PROTECTABLES_LIMIT_MAX: u32 = 50;

/// Use cases of protectables.
#[derive(Debug)]
pub struct Protectables {}

/// Which protectables (contract C53). Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProtectableFilter {
    /// One of these.
    pub ids: Vec<ResourceId>,
    /// Name contains.
    pub name: Option<String>,
    /// The native word, e.g. `ACTIVE` or `in-use`; one of these.
    pub statuses: Vec<String>,
    /// Disks of this server.
    pub server: Option<ResourceId>,
}

/// A resource a vault could take, and whether one may (contract C53).
#[derive(Clone, PartialEq, Debug)]
pub struct Protectable {
    /// The thing itself.
    pub native: Native,
    /// A server's disks, the system disk first.
    pub children: Vec<VolumeView>,
    /// Why it cannot be bound now; `None`: it can, or it already is.
    pub obstacle: Option<Obstacle>,
    /// The vault it is bound to.
    pub vault: Option<Vault>,
}

/// A protectable as its own service shows it.
#[derive(Clone, PartialEq, Debug)]
pub enum Native {
    /// A server.
    Server(ServerView),
    /// A disk.
    Volume(VolumeView),
}

/// Why a resource cannot be protected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obstacle {
    /// Contract code.
    pub code: String,
    /// For people.
    pub reason: String,
}

impl Protectable {
    /// Its id.
    pub fn id(&self) -> ResourceId {
        match &self.native {
            Native::Server(server) => server.id,
            Native::Volume(volume) => volume.id,
        }
    }

    /// What it is.
    pub const fn kind(&self) -> ResourceKind {
        match &self.native {
            Native::Server(_) => ResourceKind::Server,
            Native::Volume(_) => ResourceKind::Volume,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.native {
            Native::Server(server) => &server.name,
            Native::Volume(volume) => &volume.name,
        }
    }

    /// Its size; a server's is the sum of its disks.
    pub fn size(&self) -> Gib {
        match &self.native {
            Native::Server(_) => Gib(self.children.iter().map(|disk| disk.size.0).sum()),
            Native::Volume(volume) => volume.size,
        }
    }

    /// The native word for its state.
    pub fn status(&self) -> &'static str {
        match &self.native {
            Native::Server(server) => server.status.as_str(),
            Native::Volume(volume) => volume.status.as_str(),
        }
    }
}

impl Protectables {
    /// Lists protectables in order of their ids (contract C53).
    pub async fn list(
        &self,
        access: &Access,
        kind: VaultKind,
        filter: &ProtectableFilter,
        page: Page,
    ) -> Result<Vec<Protectable>> {
        let _ = (access, kind, filter, page);
        Err(later("listing protectables"))
    }

    /// One protectable (contract C54).
    pub async fn show(
        &self,
        access: &Access,
        kind: VaultKind,
        id: ResourceId,
    ) -> Result<Protectable> {
        let _ = (access, kind, id);
        Err(later("reading a protectable"))
    }
}

fn later(doing: &'static str) -> Error {
    Error::internal(doing)("first phase")
}
