//! A vault and its parts on the wire (contract C.0, C.M `Vault`).

use cbr_model::resource::{BoundResource, IncludedVolume, ResourceType};
use cbr_model::tag;
use cbr_model::vault::{self, Consistency, VaultKind};
use cbr_model::{PolicyId, ResourceId, VaultId};
use cbr_service::vaults::WantedResource;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::id_of;
use crate::time;
use crate::v3::provider_id::provider_of_vault;

/// A vault.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct Vault {
    id: String,
    name: String,
    description: Option<String>,
    /// 32 hexadecimal digits.
    project_id: String,
    provider_id: &'static str,
    /// Who created it.
    user_id: String,
    enterprise_project_id: String,
    /// UTC, without a zone.
    created_at: String,
    tags: Vec<Tag>,
    billing: Billing,
    /// In insertion order.
    resources: Vec<Resource>,
    auto_bind: bool,
    auto_expand: bool,
    bind_rules: BindRules,
    smn_notify: bool,
    /// Per cent of the capacity.
    threshold: u8,
    /// Backup locking; one-way.
    locked: bool,
    /// `SMB`, or empty.
    sys_lock_source_service: String,
    availability_zone: Option<String>,
}

/// Capacity and specification of a vault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Billing {
    /// GB bound: the sum of the resources.
    allocated: u64,
    charging_mode: &'static str,
    cloud_type: &'static str,
    consistent_level: &'static str,
    object_type: &'static str,
    order_id: Option<String>,
    product_id: Option<String>,
    protect_type: &'static str,
    /// GB.
    size: u64,
    spec_code: &'static str,
    /// Status of the vault.
    status: &'static str,
    storage_unit: Option<String>,
    /// MB.
    used: u64,
    frozen_scene: Option<String>,
    is_multi_az: bool,
}

/// A resource in a vault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = VaultResource)]
pub(crate) struct Resource {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// GB.
    size: u64,
    /// MB used by its backups.
    backup_size: u64,
    backup_count: u64,
    protect_status: &'static str,
    extra_info: ResourceExtra,
    auto_protect: bool,
}

/// Particulars of a resource in a vault.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ResourceExtra {
    /// Disks of a server that are left out.
    #[serde(default, deserialize_with = "null_is_default")]
    exclude_volumes: Vec<String>,
    /// If there are any, only these disks of a server are taken.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    include_volumes: Vec<IncludeVolume>,
}

/// A disk of a server that is taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct IncludeVolume {
    id: String,
    /// Kept and shown; nothing depends on it.
    #[serde(default)]
    os_version: Option<String>,
}

/// Rules by which resources are bound by themselves; `{}` when there are none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct BindRules {
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    tags: Vec<Tag>,
}

/// A tag.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Tag {
    key: String,
    #[serde(default, deserialize_with = "null_is_default")]
    value: String,
}

/// A resource that shall be bound.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, ToSchema)]
pub(crate) struct ResourceCreate {
    id: String,
    /// `OS::Nova::Server`, `OS::Cinder::Volume`, `OS::Sfs::Turbo` or `OS::Native::Server`, as the vault takes it.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    extra_info: Option<ResourceExtra>,
}

/// A policy of a vault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct VaultPolicy {
    vault_id: String,
    policy_id: String,
    /// Replication policies only.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_vault_id: Option<String>,
}

impl VaultPolicy {
    /// The answer to who binds or unbinds this.
    pub(super) fn new(vault: VaultId, policy: PolicyId, destination: Option<VaultId>) -> Self {
        Self {
            vault_id: vault.to_string(),
            policy_id: policy.to_string(),
            destination_vault_id: destination.map(|id| id.to_string()),
        }
    }
}

impl From<vault::Vault> for Vault {
    fn from(vault: vault::Vault) -> Self {
        Self {
            id: vault.id.to_string(),
            name: vault.name.to_string(),
            billing: Billing::of(&vault),
            description: vault.description,
            project_id: vault.project.to_string(),
            provider_id: provider_of_vault(vault.kind),
            user_id: vault.user.to_string(),
            enterprise_project_id: vault.enterprise_project,
            created_at: time::format(vault.created_at),
            tags: vault.tags.into_iter().map(Tag::from).collect(),
            resources: vault.resources.into_iter().map(Resource::from).collect(),
            auto_bind: vault.auto_bind,
            auto_expand: vault.auto_expand,
            bind_rules: BindRules { tags: vault.bind_rules.into_iter().map(Tag::from).collect() },
            smn_notify: vault.smn_notify,
            threshold: vault.threshold,
            locked: vault.locked,
            sys_lock_source_service: vault.lock_source,
            availability_zone: vault.availability_zone,
        }
    }
}

impl Billing {
    fn of(vault: &vault::Vault) -> Self {
        Self {
            allocated: vault.allocated().0,
            charging_mode: vault.charging.mode.as_str(),
            cloud_type: cloud_type(vault.kind),
            consistent_level: vault.consistency.as_str(),
            object_type: vault.kind.as_str(),
            order_id: vault.charging.order.map(|id| id.to_string()),
            product_id: None,
            protect_type: protect_type(vault.kind),
            size: vault.size.0,
            spec_code: spec_code(vault.kind, vault.consistency),
            status: vault.status.as_str(),
            storage_unit: None,
            used: vault.used.whole_mib(),
            frozen_scene: vault.charging.frozen_scene.clone(),
            is_multi_az: false,
        }
    }
}

/// Contract B.1: the vault for files is that of a hybrid cloud (Z-28).
pub(crate) const fn protect_type(kind: VaultKind) -> &'static str {
    if kind.is_hybrid() { "hybrid" } else { "backup" }
}

/// Contract B.1.
pub(crate) const fn cloud_type(kind: VaultKind) -> &'static str {
    if kind.is_hybrid() { "hybrid" } else { "public" }
}

/// Contract B.3.
pub(crate) const fn spec_code(kind: VaultKind, consistency: Consistency) -> &'static str {
    match (kind, consistency) {
        (VaultKind::Server, Consistency::CrashConsistent) => "vault.backup.server.normal",
        (VaultKind::Server, Consistency::AppConsistent) => "vault.backup.database.normal",
        (VaultKind::Disk, _) => "vault.backup.volume.normal",
        (VaultKind::Turbo, _) => "vault.backup.turbo.normal",
        (VaultKind::File, _) => "vault.hybrid.server.normal",
    }
}

impl From<BoundResource> for Resource {
    fn from(resource: BoundResource) -> Self {
        Self {
            id: resource.id.to_string(),
            name: resource.name,
            kind: resource.kind.as_str(),
            size: resource.size.0,
            backup_size: resource.backup_bytes.whole_mib(),
            backup_count: resource.backup_count,
            protect_status: resource.protect_status.as_str(),
            extra_info: ResourceExtra {
                exclude_volumes: resource.exclude_volumes.iter().map(ToString::to_string).collect(),
                include_volumes: resource.include_volumes.into_iter().map(shown).collect(),
            },
            auto_protect: resource.auto_protect,
        }
    }
}

impl From<tag::Tag> for Tag {
    fn from(tag: tag::Tag) -> Self {
        Self { key: tag.key, value: tag.value }
    }
}

impl From<Tag> for tag::Tag {
    fn from(tag: Tag) -> Self {
        Self { key: tag.key, value: tag.value }
    }
}

impl BindRules {
    /// As the model has them.
    pub(crate) fn into_tags(self) -> Vec<tag::Tag> {
        into_tags(self.tags)
    }
}

/// Tags as the model has them.
pub(crate) fn into_tags(tags: Vec<Tag>) -> Vec<tag::Tag> {
    tags.into_iter().map(tag::Tag::from).collect()
}

fn shown(disk: IncludedVolume) -> IncludeVolume {
    IncludeVolume { id: disk.id.to_string(), os_version: disk.os_version }
}

impl ResourceExtra {
    /// As the model has them.
    pub(crate) fn exclude_volumes(&self) -> Result<Vec<ResourceId>, ApiError> {
        self.exclude_volumes
            .iter()
            .map(|id| id.parse().map_err(|why| ApiError::invalid("exclude_volumes", why)))
            .collect()
    }

    /// As the model has them.
    pub(crate) fn include_volumes(&self) -> Result<Vec<IncludedVolume>, ApiError> {
        self.include_volumes
            .iter()
            .map(|disk| {
                let id = disk.id.parse();
                let id = id.map_err(|why| ApiError::invalid("include_volumes", why))?;
                if disk.os_version.as_ref().is_some_and(|text| text.chars().count() > 255) {
                    return Err(ApiError::invalid("os_version", "at most 255 characters"));
                }
                Ok(IncludedVolume { id, os_version: disk.os_version.clone() })
            })
            .collect()
    }
}

/// The resources of a request as the service wants them.
pub(crate) fn wanted(resources: Vec<ResourceCreate>) -> Result<Vec<WantedResource>, ApiError> {
    resources
        .into_iter()
        .map(|resource| {
            let kind = ResourceType::from_str_exact(&resource.kind).ok_or_else(|| {
                let message = "The vault does not take this type of resource.";
                ApiError::new(ErrorCode::ResourceKindMismatch, message)
            })?;
            let id = id_of(&resource.id, ErrorCode::ResourceNotFound)?;
            let extra = resource.extra_info.unwrap_or_default();
            let (exclude_volumes, include_volumes) =
                (extra.exclude_volumes()?, extra.include_volumes()?);
            Ok(WantedResource { id, kind, exclude_volumes, include_volumes })
        })
        .collect()
}

/// Clients write null where they mean nothing.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The golden shape of a vault (contract C.0), field by field and type by type.
#[cfg(test)]
mod tests {
    use cbr_model::name::Name;
    use cbr_model::resource::{ProtectStatus, ResourceKind};
    use cbr_model::size::{Bytes, Gib, MIB};
    use cbr_model::vault::VaultStatus;
    use serde_json::json;

    use super::*;

    fn vault() -> vault::Vault {
        vault::Vault {
            id: "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap(),
            project: "0605767b5780d5762fc5c0118072a564".parse().unwrap(),
            user: "38d65be2ecd840d19046e239e841a734".parse().unwrap(),
            name: Name::new("vault-a").unwrap(),
            description: None,
            kind: VaultKind::Server,
            consistency: Consistency::CrashConsistent,
            size: Gib(100),
            used: Bytes(5 * MIB + 1),
            status: VaultStatus::Available,
            enterprise_project: "0".into(),
            tags: vec![tag::Tag { key: "env".into(), value: "lab".into() }],
            auto_bind: false,
            bind_rules: vec![],
            auto_expand: false,
            smn_notify: true,
            threshold: 80,
            locked: false,
            charging: vault::Charging::default(),
            availability_zone: None,
            backup_name_prefix: String::new(),
            lock_source: String::new(),
            created_at: time::parse("2026-01-15T08:00:00.123456").unwrap(),
            updated_at: time::parse("2026-01-15T08:00:00.123456").unwrap(),
            resources: vec![BoundResource {
                id: "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap(),
                kind: ResourceKind::Server,
                name: "ecs-1".into(),
                size: Gib(40),
                protect_status: ProtectStatus::Available,
                exclude_volumes: vec![],
                include_volumes: vec![],
                auto_protect: true,
                chain: "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a02".parse().unwrap(),
                epoch: 0,
                backup_bytes: Bytes(0),
                backup_count: 0,
            }],
        }
    }

    /// Contract C.0; E.5 numbers 8 and 9: no zone in times, `bind_rules` and `billing` never null; A.8: `used` in MB.
    #[test]
    fn a_vault_has_the_golden_shape() {
        let golden = json!({
            "id": "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01", "name": "vault-a", "description": null,
            "project_id": "0605767b5780d5762fc5c0118072a564",
            "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
            "user_id": "38d65be2ecd840d19046e239e841a734", "enterprise_project_id": "0",
            "created_at": "2026-01-15T08:00:00.123456", "tags": [{"key": "env", "value": "lab"}],
            "billing": {
                "allocated": 40, "charging_mode": "post_paid", "cloud_type": "public",
                "consistent_level": "crash_consistent", "object_type": "server", "order_id": null,
                "product_id": null, "protect_type": "backup", "size": 100,
                "spec_code": "vault.backup.server.normal", "status": "available", "storage_unit": null,
                "used": 5, "frozen_scene": null, "is_multi_az": false
            },
            "resources": [{
                "id": "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01", "name": "ecs-1", "type": "OS::Nova::Server",
                "size": 40, "backup_size": 0, "backup_count": 0, "protect_status": "available",
                "extra_info": {"exclude_volumes": []}, "auto_protect": true
            }],
            "auto_bind": false, "auto_expand": false, "bind_rules": {}, "smn_notify": true,
            "threshold": 80, "locked": false, "sys_lock_source_service": "", "availability_zone": null
        });
        assert_eq!(serde_json::to_value(Vault::from(vault())).unwrap(), golden);
    }

    /// Contract B.3.
    #[test]
    fn specifications_follow_from_kind_and_consistency() {
        let table = [
            (VaultKind::Server, Consistency::AppConsistent, "vault.backup.database.normal"),
            (VaultKind::Disk, Consistency::CrashConsistent, "vault.backup.volume.normal"),
            (VaultKind::Turbo, Consistency::CrashConsistent, "vault.backup.turbo.normal"),
            (VaultKind::File, Consistency::CrashConsistent, "vault.hybrid.server.normal"),
        ];
        for (kind, consistency, want) in table {
            assert_eq!(spec_code(kind, consistency), want);
        }
    }

    /// E.2: the command line sends `{"tags": []}`, others null.
    #[test]
    fn nulls_and_absent_keys_mean_nothing() {
        for text in ["{}", r#"{"tags":null}"#, r#"{"tags":[]}"#] {
            assert_eq!(serde_json::from_str::<BindRules>(text).unwrap(), BindRules::default());
        }
        let extra: ResourceExtra = serde_json::from_str(r#"{"exclude_volumes":null}"#).unwrap();
        assert_eq!(extra, ResourceExtra::default());
    }

    #[test]
    fn resources_of_unknown_type_or_id_are_refused_with_their_codes() {
        let refused = |id: &str, kind: &str| {
            let resource = ResourceCreate { id: id.into(), kind: kind.into(), extra_info: None };
            wanted(vec![resource]).unwrap_err().code
        };
        assert_eq!(refused("x", "OS::Nova::Server"), ErrorCode::ResourceNotFound);
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        assert_eq!(refused(id, "OS::Workspace::DesktopV2"), ErrorCode::ResourceKindMismatch);
    }
}
