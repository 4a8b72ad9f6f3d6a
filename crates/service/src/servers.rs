//! Servers as their own service (ECS, contract F.4) shows them.

use std::sync::Arc;

use cbr_model::query::{Listing, Page};
use cbr_model::{ResourceId, Timestamp};

use crate::core::Core;
use crate::paging::cut;
use crate::{Access, Error, Result};

/// Use cases of servers.
#[derive(Debug)]
pub struct Servers {
    core: Arc<Core>,
}

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
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists servers in order of their ids.
    pub async fn list(
        &self,
        access: &Access,
        filter: &ServerFilter,
        page: Page,
    ) -> Result<Listing<ServerView>> {
        let servers = self.core.resources.servers(access.project()).await?;
        let mut views: Vec<ServerView> = servers.iter().map(view).collect();
        views.retain(|server| matches(server, filter));
        views.sort_by_key(|server| server.id);
        Ok(cut(views, page, |server| server.id.as_uuid()))
    }

    /// One server.
    pub async fn show(&self, access: &Access, id: ResourceId) -> Result<ServerView> {
        let server = self.core.resources.server(access.project(), id).await?;
        server.as_ref().map(view).ok_or(Error::ServerNotFound(id))
    }
}

/// A server as its provider sees it.
pub(crate) fn view(server: &cbr_provider::Server) -> ServerView {
    let (status, fault) = match &server.status {
        cbr_provider::ServerStatus::Running => (ServerStatus::Active, None),
        cbr_provider::ServerStatus::Stopped => (ServerStatus::Shutoff, None),
        cbr_provider::ServerStatus::Fault { why } => (ServerStatus::Error, Some(why.clone())),
    };
    ServerView {
        id: server.id,
        name: server.name.clone(),
        status,
        fault,
        availability_zone: server.availability_zone.clone(),
        volumes: server
            .volumes
            .iter()
            .map(|at| ServerVolume {
                id: at.volume,
                device: at.device.clone(),
                boot_index: at.index,
            })
            .collect(),
        created_at: server.created_at,
    }
}

fn matches(server: &ServerView, filter: &ServerFilter) -> bool {
    (filter.ids.is_empty() || filter.ids.contains(&server.id))
        && filter.name.as_ref().is_none_or(|name| server.name.contains(name.as_str()))
        && filter.status.as_ref().is_none_or(|status| server.status.as_str() == status)
}
