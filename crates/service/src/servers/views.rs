//! What servers and requests about them look like.

use std::collections::BTreeMap;

use cbr_model::size::Gib;
use cbr_model::{ImageId, ResourceId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// Whether it can be started and stopped from here.
    pub can_power: bool,
    /// Whether it was made here, so that its disks can be changed and it can be deleted.
    pub is_made: bool,
    /// When it was made, as far as known.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What is done to servers (contract F.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerAction {
    /// Starts them.
    Start,
    /// Shuts them down.
    Stop,
    /// Shuts them down and starts them.
    Reboot,
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

/// A server to be made from an image (IMG-01).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewServerRequest {
    /// Its name.
    pub name: String,
    /// The image: its backup has all disks of the server.
    pub image: ImageId,
    /// The size of the system disk; none: as in the image.
    pub root_size: Option<Gib>,
    /// The pool of its disks; none or one that does not exist: the one with the most room.
    pub volume_type: Option<String>,
    /// The availability zone; none: any.
    pub availability_zone: Option<String>,
}

/// A server that is being made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerJobStarted {
    /// The job.
    pub job: TaskId,
    /// The id the server will have.
    pub server: ResourceId,
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
        can_power: server.can_power,
        is_made: server.is_made,
        created_at: server.created_at,
        tags: server.tags.clone(),
    }
}
