//! A disk on the wire (contract F.3).

use std::collections::BTreeMap;

use cbr_model::ResourceId;
use cbr_service::volumes::{AttachmentView, VolumeView};
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Volume {
    id: String,
    name: String,
    description: String,
    status: &'static str,
    /// GB.
    size: u64,
    /// The pool it lies in.
    volume_type: String,
    availability_zone: String,
    attachments: Vec<Attachment>,
    /// `true` or `false`, as text.
    bootable: String,
    /// Whether its owner encrypts it: it is a LUKS container.
    encrypted: bool,
    /// Several servers have it.
    multiattach: bool,
    /// `true` or `false`, as text.
    shareable: &'static str,
    metadata: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    created_at: String,
    updated_at: String,
    #[serde(rename = "os-vol-tenant-attr:tenant_id")]
    tenant_id: String,
    links: Vec<Link>,
    volume_image_metadata: BTreeMap<String, String>,
    service_type: &'static str,
    enterprise_project_id: &'static str,
    /// How it is stored; an extension.
    #[serde(rename = "x-format")]
    format: &'static str,
    /// Exact size; an extension.
    #[serde(rename = "x-size-bytes")]
    size_bytes: u64,
}

/// A disk at a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = VolumeAttachment)]
struct Attachment {
    id: String,
    attachment_id: String,
    server_id: String,
    volume_id: String,
    device: String,
    host_name: Option<String>,
    attached_at: Option<String>,
}

/// A link. There are none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = VolumeLink)]
struct Link {
    rel: String,
    href: String,
}

impl Volume {
    /// `volume` as a caller in `project` sees it.
    pub(crate) fn of(volume: VolumeView, project: cbr_model::ProjectId) -> Self {
        let id = volume.id;
        let is_shared = volume.attachments.len() > 1;
        Self {
            id: id.to_string(),
            name: volume.name,
            description: volume.description,
            status: volume.status.as_str(),
            size: volume.size.0,
            volume_type: volume.volume_type,
            availability_zone: volume.availability_zone,
            attachments: volume.attachments.iter().map(|at| Attachment::of(id, at)).collect(),
            bootable: volume.bootable.to_string(),
            encrypted: volume.encrypted,
            multiattach: is_shared,
            shareable: if is_shared { "true" } else { "false" },
            metadata: BTreeMap::new(),
            tags: volume.tags,
            created_at: time::format(volume.created_at),
            updated_at: time::format(volume.created_at),
            tenant_id: project.to_string(),
            links: vec![],
            volume_image_metadata: BTreeMap::new(),
            service_type: "EVS",
            enterprise_project_id: "0",
            format: volume.format,
            size_bytes: volume.size_bytes.0,
        }
    }
}

impl Attachment {
    fn of(volume: ResourceId, attachment: &AttachmentView) -> Self {
        Self {
            id: volume.to_string(),
            attachment_id: volume.to_string(),
            server_id: attachment.server.to_string(),
            volume_id: volume.to_string(),
            device: attachment.device.clone(),
            host_name: None,
            attached_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::size::{Bytes, Gib};
    use cbr_service::volumes::VolumeStatus;
    use serde_json::json;

    use super::*;

    /// Contract F.3: `bootable` and `shareable` are text, `encrypted` and `multiattach` are not.
    #[test]
    fn a_disk_has_the_shape_of_the_contract() {
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        let project = "0605767b5780d5762fc5c0118072a564";
        let volume = VolumeView {
            id: id.parse().unwrap(),
            name: "disk".into(),
            description: String::new(),
            size: Gib(40),
            size_bytes: Bytes(40 << 30),
            status: VolumeStatus::InUse,
            volume_type: "images".into(),
            format: "raw",
            availability_zone: "az1".into(),
            attachments: vec![AttachmentView {
                server: id.parse().unwrap(),
                device: "/dev/vda".into(),
            }],
            bootable: true,
            encrypted: true,
            created_at: time::parse("2026-01-15T08:00:00.123456").unwrap(),
            tags: [("env".to_owned(), "lab".to_owned())].into(),
        };
        let golden = json!({
            "id": id, "name": "disk", "description": "", "status": "in-use", "size": 40,
            "volume_type": "images", "availability_zone": "az1",
            "attachments": [{"id": id, "attachment_id": id, "server_id": id, "volume_id": id,
                             "device": "/dev/vda", "host_name": null, "attached_at": null}],
            "bootable": "true", "encrypted": true, "multiattach": false, "shareable": "false",
            "metadata": {}, "tags": {"env": "lab"}, "created_at": "2026-01-15T08:00:00.123456",
            "updated_at": "2026-01-15T08:00:00.123456", "os-vol-tenant-attr:tenant_id": project,
            "links": [], "volume_image_metadata": {}, "service_type": "EVS",
            "enterprise_project_id": "0", "x-format": "raw", "x-size-bytes": 40_u64 << 30
        });
        let wire = Volume::of(volume, project.parse().unwrap());
        assert_eq!(serde_json::to_value(wire).unwrap(), golden);
    }
}
