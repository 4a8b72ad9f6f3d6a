//! Attaching a disk to a server (contract F.4, NEW-11).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, PathId, ServerInPath, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "AttachServerVolume",
    verb: Verb::Post,
    path: "/v1/{project_id}/cloudservers/{server_id}/attachvolume",
    group: "Servers",
    summary: "Attaches an available disk to a server that was made here and is off; a job does it.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:attach"),
    event: Some(Event::new("attachVolume", "server")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AttachServerVolumeRequest)]
struct Request {
    #[serde(rename = "volumeAttachment")]
    attachment: Attachment,
    /// Not offered.
    #[serde(default)]
    dry_run: bool,
}

/// The disk.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AttachServerVolumeOption)]
struct Attachment {
    #[serde(rename = "volumeId")]
    volume: String,
    /// Not offered: a server sees its disks in the order in which it got them.
    device: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttachServerVolumeResponse)]
struct Response {
    job_id: String,
}

/// `POST /v1/{project_id}/cloudservers/{server_id}/attachvolume`
#[tracing::instrument(name = "api.servers.attach", skip_all, fields(server.id = %server))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(server): PathId<ServerInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.attachment.device.is_some_and(|device| !device.is_empty()) {
        let reason = "it is not offered: a server sees its disks in the order in which it got them";
        return Err(ApiError::invalid("device", reason));
    }
    if request.dry_run {
        return Err(ApiError::invalid("dry_run", "it is not offered"));
    }
    let volume = id_of(&request.attachment.volume, ErrorCode::VolumeNotFound)?;
    let job = api.services.servers.attach(&access, server, volume).await?;
    Ok(Json(Response { job_id: job.to_string() }))
}
