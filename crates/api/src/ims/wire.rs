//! An image on the wire (contract F.2): the same flat object for IMS and Glance.

use cbr_model::tag::Tag;
use cbr_service::images::ImageView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// An image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Image {
    id: String,
    name: String,
    /// saving, active or killed.
    status: &'static str,
    visibility: &'static str,
    protected: bool,
    /// The project that made it.
    owner: String,
    /// `key.value`
    tags: Vec<String>,
    /// GB: the system disk's size.
    min_disk: u64,
    /// MB.
    min_ram: u64,
    /// MB as text; empty: any.
    max_ram: String,
    disk_format: &'static str,
    container_format: &'static str,
    virtual_env_type: &'static str,
    enterprise_project_id: String,
    created_at: String,
    updated_at: String,
    /// When servers could be made from it first; null as long as they cannot.
    active_at: Option<String>,
    #[serde(rename = "self")]
    own_path: String,
    file: String,
    schema: &'static str,
    #[serde(rename = "__imagetype")]
    image_type: &'static str,
    #[serde(rename = "__isregistered")]
    is_registered: &'static str,
    #[serde(rename = "__whole_image")]
    whole_image: &'static str,
    #[serde(rename = "__backup_id")]
    backup_id: String,
    #[serde(rename = "__data_origin")]
    data_origin: String,
    #[serde(rename = "__image_source_type")]
    source_type: &'static str,
    #[serde(rename = "__image_size")]
    image_size: String,
    #[serde(rename = "__description")]
    description: String,
    #[serde(rename = "__os_type")]
    os_type: &'static str,
    #[serde(rename = "__platform")]
    platform: &'static str,
    #[serde(rename = "__os_version")]
    os_version: &'static str,
    #[serde(rename = "__os_bit")]
    os_bit: &'static str,
}

impl From<ImageView> for Image {
    fn from(view: ImageView) -> Self {
        let ImageView { image, status, server, size, min_disk } = view;
        let created = time::format_zulu(image.created_at);
        let is_active = status == cbr_model::image::ImageStatus::Active;
        Self {
            own_path: format!("/v2/images/{}", image.id),
            file: format!("/v2/images/{}/file", image.id),
            id: image.id.to_string(),
            name: image.name,
            status: status.as_str(),
            visibility: "private",
            protected: image.protected,
            owner: image.project.to_string(),
            tags: image.tags.iter().map(tag).collect(),
            min_disk: min_disk.0,
            min_ram: image.min_ram_mib,
            max_ram: image.max_ram_mib.map(|max| max.to_string()).unwrap_or_default(),
            disk_format: "raw",
            container_format: "bare",
            virtual_env_type: "FusionCompute",
            enterprise_project_id: image.enterprise_project,
            active_at: is_active.then(|| created.clone()),
            created_at: created,
            updated_at: time::format_zulu(image.updated_at),
            schema: "/v2/schemas/image",
            image_type: "private",
            is_registered: "true",
            whole_image: "true",
            backup_id: image.backup.to_string(),
            data_origin: format!("server_backup,{server}"),
            source_type: "cbr",
            image_size: size.0.to_string(),
            description: image.description,
            // What is on the disks is not looked at.
            os_type: "Other",
            platform: "Other",
            os_version: "Other",
            os_bit: "64",
        }
    }
}

fn tag(tag: &Tag) -> String {
    if tag.value.is_empty() { tag.key.clone() } else { format!("{}.{}", tag.key, tag.value) }
}
