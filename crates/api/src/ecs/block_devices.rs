//! The disks of a server (contract F.4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, ServerInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListServerBlockDevices",
    verb: Verb::Get,
    path: "/v1/{project_id}/cloudservers/{server_id}/block_device",
    group: "Servers",
    summary: "Lists the disks of a server.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListServerBlockDevicesResponse)]
struct Response {
    #[serde(rename = "volumeAttachments")]
    attachments: Vec<BlockDevice>,
}

/// A disk of a server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerBlockDevice)]
struct BlockDevice {
    id: String,
    #[serde(rename = "volumeId")]
    volume_id: String,
    #[serde(rename = "serverId")]
    server_id: String,
    device: String,
    /// 0 for the system disk, else -1.
    #[serde(rename = "bootIndex")]
    boot_index: i32,
    /// GB.
    size: u64,
}

/// `GET /v1/{project_id}/cloudservers/{server_id}/block_device`
#[tracing::instrument(name = "api.servers.block_devices", skip_all, fields(server.id = %server))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(server): PathId<ServerInPath>,
) -> Result<Json<Response>, ApiError> {
    let disks = api.services.servers.disks(&access, server).await?;
    let attachments = disks.into_iter().map(|(disk, size)| BlockDevice {
        id: disk.id.to_string(),
        volume_id: disk.id.to_string(),
        server_id: server.to_string(),
        boot_index: if disk.boot_index == 0 { 0 } else { -1 },
        device: disk.device,
        size: size.0,
    });
    Ok(Json(Response { attachments: attachments.collect() }))
}
