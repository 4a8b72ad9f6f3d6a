//! A backup on the wire (contract C.0, C.M `BackupResp`).

use std::collections::BTreeMap;

use cbr_model::BackupId;
use cbr_model::backup::{self, BackupState};
use cbr_model::resource::ResourceKind;
use cbr_service::backups::{Extras, Surroundings};
use serde::Serialize;
use utoipa::ToSchema;

use super::extras::{Integrity, Sizes};
use crate::time;
use crate::v3::app_consistency::AppConsistency;
use crate::v3::provider_id::provider_id;

/// A backup. A server's has its disks as children of the same shape.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Backup {
    id: String,
    name: String,
    description: String,
    checkpoint_id: String,
    /// The vault that counts it; null as long as an offer of another project is not accepted.
    vault_id: Option<String>,
    /// The server backup a disk's backup belongs to.
    parent_id: Option<String>,
    project_id: String,
    /// That of the vault.
    enterprise_project_id: String,
    provider_id: &'static str,
    resource_id: String,
    resource_name: String,
    resource_type: &'static str,
    /// GB.
    resource_size: u64,
    resource_az: String,
    image_type: &'static str,
    status: &'static str,
    incremental: bool,
    version: u8,
    created_at: String,
    updated_at: Option<String>,
    expired_at: Option<String>,
    /// When it was complete.
    protected_at: Option<String>,
    extend_info: ExtendInfo,
    replication_records: Vec<ReplicationRecord>,
    #[schema(no_recursion)]
    children: Vec<Backup>,
    #[serde(rename = "x-sizes", skip_serializing_if = "Option::is_none")]
    x_sizes: Option<Sizes>,
    #[serde(rename = "x-integrity", skip_serializing_if = "Option::is_none")]
    x_integrity: Option<Integrity>,
    /// What came of the wish for a database backup; absent where nobody had it.
    #[serde(rename = "x-app-consistency", skip_serializing_if = "Option::is_none")]
    x_app_consistency: Option<AppConsistency>,
}

/// Particulars of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = BackupExtendInfo)]
pub(crate) struct ExtendInfo {
    auto_trigger: bool,
    /// Null for server backups.
    bootable: Option<bool>,
    contain_system_disk: bool,
    /// Whether its owner encrypts the disk, or one of them.
    encrypted: bool,
    system_disk: bool,
    os_images_data: Option<Vec<ImageData>>,
    snapshot_id: Option<String>,
    /// Whether it can be restored at once, with its data following.
    support_lld: bool,
    /// `backup`: it can be restored; `snapshot`: it is being made, and an image can be made of it already;
    /// `na`: neither now.
    supported_restore_mode: &'static str,
    is_multi_az: bool,
}

/// The image the project made of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct ImageData {
    image_id: String,
}

/// A copy in another region. There are none yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct ReplicationRecord {
    id: String,
}

impl Backup {
    /// The contract's fields.
    fn of(backup: backup::Backup, around: &Surroundings) -> Self {
        let vault = around.vault(&backup);
        let enterprise_project = vault.and_then(|vault| around.enterprise_projects.get(&vault));
        let kind = backup.resource_kind;
        // The disks of a server backup carry the server's provider (contract B.7).
        let provided = if backup.parent.is_some() { ResourceKind::Server } else { kind };
        Self {
            id: backup.id.to_string(),
            name: backup.name.to_string(),
            extend_info: ExtendInfo::of(&backup, around),
            description: backup.description,
            checkpoint_id: backup.checkpoint.to_string(),
            vault_id: vault.map(|id| id.to_string()),
            parent_id: backup.parent.map(|id| id.to_string()),
            project_id: backup.project.to_string(),
            enterprise_project_id: enterprise_project.map_or("0", String::as_str).to_owned(),
            provider_id: provider_id(provided),
            resource_id: backup.resource.to_string(),
            resource_name: backup.resource_name,
            resource_type: kind.as_str(),
            resource_size: backup.resource_size.0,
            resource_az: backup.resource_az,
            image_type: "backup",
            status: backup.state.as_str(),
            incremental: backup.incremental,
            version: 3,
            created_at: time::format(backup.created_at),
            updated_at: Some(time::format(backup.updated_at)),
            expired_at: backup.expired_at.map(time::format),
            protected_at: backup.protected_at.map(time::format),
            replication_records: vec![],
            children: backup.children.into_iter().map(|disk| Self::of(disk, around)).collect(),
            x_sizes: None,
            x_integrity: None,
            x_app_consistency: backup.app_consistency.map(AppConsistency::from),
        }
    }

    /// One of the project's own, of whose vault nothing is known.
    pub(crate) fn plain(backup: backup::Backup) -> Self {
        let around = Surroundings::of_own(backup.project);
        Self::of(backup, &around)
    }

    /// With what is known of it and of its disks beside what the contract has.
    pub(super) fn with(
        backup: backup::Backup,
        around: &Surroundings,
        extras: &BTreeMap<BackupId, Extras>,
    ) -> Self {
        let children = backup.children.iter().map(|child| child.id);
        let ids: Vec<BackupId> = std::iter::once(backup.id).chain(children).collect();
        let mut wire = Self::of(backup, around);
        let parts = std::iter::once((&mut wire.x_sizes, &mut wire.x_integrity))
            .chain(wire.children.iter_mut().map(|it| (&mut it.x_sizes, &mut it.x_integrity)));
        for (id, (sizes, integrity)) in ids.iter().zip(parts) {
            let known = extras.get(id);
            *sizes = known.map(Sizes::from);
            *integrity = known.map(Integrity::from);
        }
        wire
    }
}

impl ExtendInfo {
    fn of(backup: &backup::Backup, around: &Surroundings) -> Self {
        let image = around.images.get(&backup.id).copied().flatten();
        let is_server = backup.resource_kind == ResourceKind::Server;
        let is_restorable =
            matches!(backup.state, BackupState::Available { .. } | BackupState::Restoring { .. });
        Self {
            auto_trigger: backup.auto_trigger,
            bootable: (!is_server).then_some(backup.system_disk),
            contain_system_disk: backup.system_disk,
            encrypted: backup.encrypted,
            system_disk: !is_server && backup.system_disk,
            os_images_data: image.map(|id| vec![ImageData { image_id: id.to_string() }]),
            snapshot_id: None,
            support_lld: false,
            supported_restore_mode: if is_restorable {
                "backup"
            } else if around.imageable.contains(&backup.id) {
                "snapshot"
            } else {
                "na"
            },
            is_multi_az: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::backup::Content;
    use cbr_model::name::Name;
    use cbr_model::size::Gib;
    use serde_json::json;

    use super::*;

    const ID: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

    fn backup(kind: ResourceKind) -> backup::Backup {
        backup::Backup {
            id: ID.parse().unwrap(),
            project: "0605767b5780d5762fc5c0118072a564".parse().unwrap(),
            vault: ID.parse().unwrap(),
            checkpoint: ID.parse().unwrap(),
            parent: None,
            name: Name::new("before-upgrade").unwrap(),
            description: String::new(),
            resource: ID.parse().unwrap(),
            resource_name: "ecs-1".into(),
            resource_kind: kind,
            resource_size: Gib(40),
            resource_az: "az1".into(),
            state: BackupState::Available { content: Content::Server },
            incremental: false,
            auto_trigger: false,
            system_disk: true,
            encrypted: false,
            app_consistency: None,
            created_at: time::parse("2026-01-15T08:10:00.000001").unwrap(),
            updated_at: time::parse("2026-01-15T08:12:00.000002").unwrap(),
            protected_at: None,
            expired_at: None,
            children: vec![],
        }
    }

    /// Contract C.0. `support_lld` is false as long as there is no instant restore.
    #[test]
    fn a_backup_has_the_golden_shape() {
        let golden = json!({
            "id": ID, "name": "before-upgrade", "description": "", "checkpoint_id": ID,
            "vault_id": ID, "parent_id": null, "project_id": "0605767b5780d5762fc5c0118072a564",
            "enterprise_project_id": "0", "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
            "resource_id": ID, "resource_name": "ecs-1", "resource_type": "OS::Nova::Server",
            "resource_size": 40, "resource_az": "az1", "image_type": "backup",
            "status": "available", "incremental": false, "version": 3,
            "created_at": "2026-01-15T08:10:00.000001", "updated_at": "2026-01-15T08:12:00.000002",
            "expired_at": null, "protected_at": null,
            "extend_info": {
                "auto_trigger": false, "bootable": null, "contain_system_disk": true,
                "encrypted": false, "system_disk": false, "os_images_data": null,
                "snapshot_id": null, "support_lld": false, "supported_restore_mode": "backup",
                "is_multi_az": false
            },
            "replication_records": [], "children": []
        });
        let wire = Backup::plain(backup(ResourceKind::Server));
        assert_eq!(serde_json::to_value(wire).unwrap(), golden);
    }

    /// Contract B.7: the disks of a server backup carry the server's provider id.
    #[test]
    fn the_disks_of_a_server_backup_name_their_parent_and_its_provider() {
        let mut disk = backup(ResourceKind::Volume);
        disk.parent = Some(ID.parse().unwrap());
        let mut server = backup(ResourceKind::Server);
        server.children = vec![disk];
        let wire = serde_json::to_value(Backup::plain(server)).unwrap();
        let child = &wire["children"][0];
        assert_eq!(child["parent_id"], ID);
        assert_eq!(child["provider_id"], "0daac4c5-6707-4851-97ba-169e36266b66");
        assert_eq!(child["resource_type"], "OS::Cinder::Volume");
        assert_eq!(child["extend_info"]["bootable"], true);
        assert_eq!(child["children"], json!([]));
    }
}
