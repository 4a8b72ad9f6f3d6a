//! A server on the wire (contract F.4). Only what a backup service knows of a server.

use std::collections::BTreeMap;

use cbr_model::ProjectId;
use cbr_service::servers::{ServerStatus, ServerView, ServerVolume};
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// A server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Server {
    id: String,
    name: String,
    status: &'static str,
    #[serde(rename = "OS-EXT-STS:vm_state")]
    vm_state: &'static str,
    #[serde(rename = "OS-EXT-STS:task_state")]
    task_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:power_state")]
    power_state: u8,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    availability_zone: String,
    /// What is wrong with a server in error.
    fault: Option<Fault>,
    metadata: BTreeMap<String, String>,
    #[serde(rename = "os-extended-volumes:volumes_attached")]
    volumes: Vec<VolumeAttached>,
    created: String,
    updated: String,
    tenant_id: String,
    tags: Vec<String>,
    enterprise_project_id: &'static str,
}

/// What is wrong with a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = ServerFault)]
struct Fault {
    message: String,
}

/// A disk of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = ServerVolumeAttached)]
struct VolumeAttached {
    id: String,
    device: String,
    /// `0` for the system disk, `-1` for others.
    #[serde(rename = "bootIndex")]
    boot_index: &'static str,
    delete_on_termination: &'static str,
}

impl Server {
    /// `server` as a caller in `project` sees it.
    pub(crate) fn of(server: ServerView, project: ProjectId) -> Self {
        let (vm_state, power_state) = match server.status {
            ServerStatus::Active => ("active", 1),
            ServerStatus::Shutoff => ("stopped", 4),
            ServerStatus::Error => ("error", 0),
        };
        Self {
            id: server.id.to_string(),
            name: server.name,
            status: server.status.as_str(),
            vm_state,
            task_state: None,
            power_state,
            availability_zone: server.availability_zone,
            fault: server.fault.map(|message| Fault { message }),
            metadata: BTreeMap::new(),
            volumes: server.volumes.iter().map(VolumeAttached::of).collect(),
            created: time::format_zulu(server.created_at),
            updated: time::format_zulu(server.created_at),
            tenant_id: project.to_string(),
            tags: vec![],
            enterprise_project_id: "0",
        }
    }
}

impl VolumeAttached {
    fn of(volume: &ServerVolume) -> Self {
        Self {
            id: volume.id.to_string(),
            device: volume.device.clone(),
            boot_index: if volume.boot_index == 0 { "0" } else { "-1" },
            delete_on_termination: "false",
        }
    }
}
