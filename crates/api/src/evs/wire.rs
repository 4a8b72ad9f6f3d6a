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
    encrypted: bool,
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
            encrypted: false,
            multiattach: false,
            shareable: "false",
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
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
