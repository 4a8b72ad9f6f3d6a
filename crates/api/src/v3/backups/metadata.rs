//! `ShowMetadata` (contract C34): how the resource was set up, as documents in texts.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::backup::Backup;
use cbr_model::metadata::{BackupMetadata, ServerMetadata, VolumeMetadata};
use cbr_service::backups::DescribedBackup;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMetadata",
    verb: Verb::Get,
    path: "/v3/{project_id}/backups/{backup_id}/metadata",
    group: "Backups",
    summary: "Shows how the resource was set up when the backup was made.",
    admission: Admission::Project,
    action: Some("cbr:backups:getMetadata"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer. Each text is a JSON document. What this provider's resources do not have is an
/// empty document: flavors, network interfaces, ports and floating addresses.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ShowMetadataResponse)]
struct Response {
    backup_id: String,
    /// The backups of a server's disks.
    backups: String,
    flavor: String,
    floatingips: Vec<String>,
    interface: String,
    ports: Vec<String>,
    /// `{}` for a disk.
    server: String,
    volumes: Vec<String>,
}

/// `GET /v3/{project_id}/backups/{backup_id}/metadata`
#[tracing::instrument(name = "api.backups.metadata", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    Ok(Json(Response::of(api.services.backups.describe(&access, backup).await?)))
}

impl Response {
    fn of(described: DescribedBackup) -> Self {
        let DescribedBackup { backup, metadata } = described;
        // A backup from before this was noted still knows what it is of.
        let metadata = metadata.unwrap_or(BackupMetadata { server: None, volumes: vec![] });
        // One disk of a server shows that disk.
        let is_meant =
            |volume: &&VolumeMetadata| backup.parent.is_none() || volume.id == backup.resource;
        let volumes = metadata.volumes.iter().filter(is_meant).map(volume);
        Self {
            backup_id: backup.id.to_string(),
            backups: backup.children.iter().map(disk).collect::<Value>().to_string(),
            flavor: json!({}).to_string(),
            floatingips: vec![],
            interface: json!([]).to_string(),
            ports: vec![],
            server: metadata.server.as_ref().map_or_else(|| json!({}), server).to_string(),
            volumes: volumes.map(|volume| volume.to_string()).collect(),
        }
    }
}

fn disk(backup: &Backup) -> Value {
    json!({
        "id": backup.id, "name": backup.name.as_str(), "resource_id": backup.resource,
        "resource_name": backup.resource_name, "resource_size": backup.resource_size.0,
        "bootable": backup.system_disk,
    })
}

/// With the native service's names (contract F.4).
fn server(server: &ServerMetadata) -> Value {
    let attached = server.attached.iter().map(|at| {
        let order = if at.index == 0 { "0" } else { "-1" };
        json!({"id": at.volume, "device": at.device, "bootIndex": order})
    });
    json!({
        "id": server.id, "name": server.name, "status": server.status,
        "OS-EXT-AZ:availability_zone": server.availability_zone,
        "created": time::format(server.created_at),
        "os-extended-volumes:volumes_attached": attached.collect::<Value>(),
    })
}

/// With the native service's names (contract F.3).
fn volume(volume: &VolumeMetadata) -> Value {
    json!({
        "id": volume.id, "name": volume.name, "description": volume.description,
        "size": cbr_model::size::Bytes(volume.size_bytes).gib_rounded_up().0,
        "status": volume.status, "volume_type": volume.pool,
        "availability_zone": volume.availability_zone,
        "bootable": if volume.bootable { "true" } else { "false" }, "encrypted": volume.encrypted,
        "created_at": time::format(volume.created_at),
    })
}
