//! Protectables: resources a vault could take.

use std::sync::Arc;

use cbr_model::ResourceId;
use cbr_model::query::Page;
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::vault::Vault;

use crate::core::Core;
use crate::error::db;
use crate::failure::Code;
use crate::paging::cut;
use crate::resources::{server_candidate, volume_candidate};
use crate::rules::binding::Candidate;
use crate::rules::selection::shared_disks;
use crate::servers::{self, ServerView};
use crate::volumes::{self, VolumeView};
use crate::{Access, Error, Result};

/// The largest page of protectables (contract C53).
pub const PROTECTABLES_LIMIT_MAX: u32 = 50;

/// Use cases of protectables.
#[derive(Debug)]
pub struct Protectables {
    core: Arc<Core>,
}

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
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists protectables in order of their ids (contract C53).
    pub async fn list(
        &self,
        access: &Access,
        kind: ResourceKind,
        filter: &ProtectableFilter,
        page: Page,
    ) -> Result<Vec<Protectable>> {
        let mut found = match kind {
            ResourceKind::Server => self.servers(access).await?,
            ResourceKind::Volume => self.volumes(access).await?,
            ResourceKind::Native => Vec::new(),
        };
        found.retain(|protectable| matches(protectable, filter));
        found.sort_by_key(Protectable::id);
        let mut page = cut(found, page, |protectable| protectable.id().as_uuid()).rows;
        self.add_vaults(access, &mut page).await?;
        Ok(page)
    }

    /// One protectable (contract C54).
    pub async fn show(
        &self,
        access: &Access,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Protectable> {
        let filter = ProtectableFilter { ids: vec![id], ..ProtectableFilter::default() };
        if let Some(found) = self.list(access, kind, &filter, Page::default()).await?.pop() {
            return Ok(found);
        }
        Err(match kind {
            ResourceKind::Server => Error::ServerNotFound(id),
            ResourceKind::Native => Error::ResourceNotFound(id),
            ResourceKind::Volume => {
                // Not listed is not gone: asking for it says whether it can be reached (RGN-07).
                self.core.resources.volume(access.project(), id).await?;
                Error::VolumeNotFound(id)
            }
        })
    }

    async fn volumes(&self, access: &Access) -> Result<Vec<Protectable>> {
        let volumes = self.core.resources.volumes(access.project()).await?;
        Ok(volumes
            .iter()
            .map(|volume| Protectable {
                obstacle: obstacle(&volume_candidate(volume)),
                native: Native::Volume(volumes::view(volume)),
                children: Vec::new(),
                vault: None,
            })
            .collect())
    }

    async fn servers(&self, access: &Access) -> Result<Vec<Protectable>> {
        let mut found = Vec::new();
        for server in self.core.resources.servers(access.project()).await? {
            let disks = self.core.resources.disks(&server).await?;
            found.push(Protectable {
                obstacle: obstacle(&server_candidate(&server, &disks)),
                native: Native::Server(servers::view(&server)),
                children: disks.iter().map(volumes::view).collect(),
                vault: None,
            });
        }
        Ok(found)
    }

    /// Says of each where it is bound. A vault of another project is not shown, but hinders (RES-02).
    async fn add_vaults(&self, access: &Access, page: &mut [Protectable]) -> Result<()> {
        let ids: Vec<ResourceId> = page.iter().map(Protectable::id).collect();
        let mut tx = self.core.db.read().await.map_err(db("listing protectables"))?;
        let bindings = tx.bindings().list(&ids).await.map_err(db("reading bindings"))?;
        for binding in bindings {
            let Some(bound) = page.iter_mut().find(|p| p.id() == binding.resource.id) else {
                continue;
            };
            let vault = tx.vaults().find(access.project(), binding.vault).await;
            bound.vault = vault.map_err(db("reading a vault"))?;
            if bound.vault.is_none() {
                let reason = "it is in another vault".to_owned();
                let code = match bound.kind() {
                    ResourceKind::Volume | ResourceKind::Native => Code::VolumeInOtherVault,
                    ResourceKind::Server => Code::ServerInOtherVault,
                };
                bound.obstacle = Some(Obstacle { code: code.as_str().to_owned(), reason });
            }
        }
        Ok(())
    }
}

/// RES-03, RES-06, RES-11.
fn obstacle(candidate: &Candidate) -> Option<Obstacle> {
    let (code, reason) = match (&candidate.obstacle, candidate.kind) {
        (Some(reason), ResourceKind::Server) => (Code::ServerStatus, reason.clone()),
        (Some(reason), ResourceKind::Volume | ResourceKind::Native) => {
            (Code::VolumeStatus, reason.clone())
        }
        (None, _) if !candidate.has_disk_without(&[]) => {
            (Code::ServerWithoutDisk, "it has no disk".to_owned())
        }
        (None, _) => match candidate.too_many_shared() {
            Some(count) => (Code::TooManySharedDisks, shared_disks(count)),
            None => return None,
        },
    };
    Some(Obstacle { code: code.as_str().to_owned(), reason })
}

fn matches(protectable: &Protectable, filter: &ProtectableFilter) -> bool {
    let is_at = |server| match &protectable.native {
        Native::Volume(volume) => volume.attachments.iter().any(|at| at.server == server),
        Native::Server(_) => false,
    };
    (filter.ids.is_empty() || filter.ids.contains(&protectable.id()))
        && filter.name.as_ref().is_none_or(|name| protectable.name().contains(name.as_str()))
        && (filter.statuses.is_empty()
            || filter.statuses.iter().any(|status| status == protectable.status()))
        && filter.server.is_none_or(is_at)
}
