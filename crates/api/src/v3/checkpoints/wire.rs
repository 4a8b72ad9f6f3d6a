//! A restore point on the wire (contract C.0).
//!
//! The numbers of its resources are strings, unlike in a vault: Go clients fail
//! to decode anything else (contract C23, E.5 number 5).

use cbr_model::checkpoint::SkippedResource;
use cbr_model::resource::BoundResource;
use cbr_service::checkpoints::CheckpointView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;
use crate::v3::provider_id::provider_of_vault;

/// A restore point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Checkpoint {
    id: String,
    project_id: String,
    status: &'static str,
    created_at: String,
    extra_info: Extra,
    vault: VaultPart,
}

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = CheckpointExtra)]
struct Extra {
    name: String,
    description: String,
    /// Days; -1: for ever.
    retention_duration: i64,
}

/// The vault, and what the run took and left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = CheckpointVault)]
struct VaultPart {
    id: String,
    name: String,
    provider_id: &'static str,
    skipped_resources: Vec<Skipped>,
    resources: Vec<Resource>,
}

/// A resource the run took; numbers are strings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = CheckpointResource)]
struct Resource {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    protect_status: &'static str,
    /// GB.
    resource_size: String,
    /// MB.
    backup_size: String,
    backup_count: String,
    extra_info: Option<String>,
}

/// A resource the run left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = CheckpointSkippedResource)]
struct Skipped {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: String,
    reason: String,
}

impl From<CheckpointView> for Checkpoint {
    fn from(view: CheckpointView) -> Self {
        let checkpoint = view.checkpoint;
        Self {
            id: checkpoint.id.to_string(),
            project_id: checkpoint.project.to_string(),
            status: view.status.as_str(),
            created_at: time::format(checkpoint.created_at),
            extra_info: Extra {
                name: checkpoint.name,
                description: checkpoint.description,
                retention_duration: checkpoint.retention_days,
            },
            vault: VaultPart {
                id: checkpoint.vault.to_string(),
                name: view.vault_name,
                provider_id: provider_of_vault(view.vault_kind),
                skipped_resources: checkpoint.skipped.into_iter().map(Skipped::from).collect(),
                resources: view.resources.into_iter().map(Resource::from).collect(),
            },
        }
    }
}

impl From<BoundResource> for Resource {
    fn from(resource: BoundResource) -> Self {
        Self {
            id: resource.id.to_string(),
            name: resource.name,
            kind: resource.kind.as_str(),
            protect_status: resource.protect_status.as_str(),
            resource_size: resource.size.0.to_string(),
            backup_size: resource.backup_bytes.whole_mib().to_string(),
            backup_count: resource.backup_count.to_string(),
            extra_info: None,
        }
    }
}

impl From<SkippedResource> for Skipped {
    fn from(skipped: SkippedResource) -> Self {
        Self {
            id: skipped.id.to_string(),
            name: skipped.name,
            kind: skipped.kind.as_str(),
            code: skipped.code,
            reason: skipped.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::checkpoint::{self, CheckpointStatus};
    use cbr_model::resource::{ProtectStatus, ResourceKind};
    use cbr_model::size::{Bytes, Gib};
    use cbr_model::vault::VaultKind;
    use serde_json::json;

    use super::*;

    /// Contract C.0; E.5 number 5: strings where a vault has numbers.
    #[test]
    fn a_restore_point_has_the_golden_shape() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let view = CheckpointView {
            checkpoint: checkpoint::Checkpoint {
                id: id.parse().unwrap(),
                project: "0605767b5780d5762fc5c0118072a564".parse().unwrap(),
                vault: id.parse().unwrap(),
                name: "before-upgrade".into(),
                description: String::new(),
                retention_days: -1,
                created_at: time::parse("2026-01-15T08:10:00.000001").unwrap(),
                skipped: vec![],
            },
            status: CheckpointStatus::Protecting,
            vault_name: "vault-a".into(),
            vault_kind: VaultKind::Server,
            resources: vec![BoundResource {
                id: id.parse().unwrap(),
                kind: ResourceKind::Server,
                name: "ecs-1".into(),
                size: Gib(40),
                protect_status: ProtectStatus::Protecting,
                exclude_volumes: vec![],
                include_volumes: vec![],
                auto_protect: true,
                chain: id.parse().unwrap(),
                epoch: 0,
                backup_bytes: Bytes(0),
                backup_count: 0,
            }],
        };
        let golden = json!({
            "id": id, "project_id": "0605767b5780d5762fc5c0118072a564", "status": "protecting",
            "created_at": "2026-01-15T08:10:00.000001",
            "extra_info": {"name": "before-upgrade", "description": "", "retention_duration": -1},
            "vault": {
                "id": id, "name": "vault-a", "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
                "skipped_resources": [],
                "resources": [{
                    "id": id, "name": "ecs-1", "type": "OS::Nova::Server",
                    "protect_status": "protecting", "resource_size": "40", "backup_size": "0",
                    "backup_count": "0", "extra_info": null
                }]
            }
        });
        assert_eq!(serde_json::to_value(Checkpoint::from(view)).unwrap(), golden);
    }
}
