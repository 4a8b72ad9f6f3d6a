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
            tags: server.tags.iter().map(|(key, value)| format!("{key}={value}")).collect(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Contract F.4: the system disk has boot index "0", others "-1".
    #[test]
    fn a_server_has_the_shape_of_the_contract() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let project = "0605767b5780d5762fc5c0118072a564";
        let disk = |boot_index| ServerVolume {
            id: id.parse().unwrap(),
            device: "/dev/vda".into(),
            boot_index,
        };
        let server = ServerView {
            id: id.parse().unwrap(),
            name: "ecs-1".into(),
            status: ServerStatus::Shutoff,
            fault: None,
            can_power: true,
            is_made: false,
            availability_zone: "az1".into(),
            volumes: vec![disk(0), disk(1)],
            created_at: time::parse("2026-01-15T08:00:00").unwrap(),
            tags: [("env".to_owned(), "lab".to_owned())].into(),
        };
        let attached = |boot_index: &str| {
            json!({"id": id, "device": "/dev/vda", "bootIndex": boot_index,
                   "delete_on_termination": "false"})
        };
        let golden = json!({
            "id": id, "name": "ecs-1", "status": "SHUTOFF", "OS-EXT-STS:vm_state": "stopped",
            "OS-EXT-STS:task_state": null, "OS-EXT-STS:power_state": 4,
            "OS-EXT-AZ:availability_zone": "az1", "fault": null, "metadata": {},
            "os-extended-volumes:volumes_attached": [attached("0"), attached("-1")],
            "created": "2026-01-15T08:00:00.000000Z", "updated": "2026-01-15T08:00:00.000000Z",
            "tenant_id": project, "tags": ["env=lab"], "enterprise_project_id": "0"
        });
        let wire = Server::of(server, project.parse().unwrap());
        assert_eq!(serde_json::to_value(wire).unwrap(), golden);
    }
}
