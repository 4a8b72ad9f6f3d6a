//! Detaching a disk from a server (contract F.4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, ServerInPath, VolumeInPath};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DetachServerVolume",
    verb: Verb::Delete,
    path: "/v1/{project_id}/cloudservers/{server_id}/detachvolume/{volume_id}",
    group: "Servers",
    summary: "Takes a data disk from a server that was made here and is off; a job does it.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:detachVolume"),
    event: Some(Event::new("detachVolume", "server")),
    success: 200,
    query: &[parameter("delete_flag", Form::Integer, "0; nothing is detached by force.")],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DetachServerVolumeResponse)]
struct Response {
    job_id: String,
}

/// `DELETE /v1/{project_id}/cloudservers/{server_id}/detachvolume/{volume_id}`
#[tracing::instrument(name = "api.servers.detach", skip_all, fields(server.id = %server))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(server): PathId<ServerInPath>,
    PathId(volume): PathId<VolumeInPath>,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    if query.value::<u8>("delete_flag")?.unwrap_or(0) != 0 {
        return Err(ApiError::invalid(
            "delete_flag",
            "nothing is detached by force; stop the server",
        ));
    }
    let job = api.services.servers.detach(&access, server, volume).await?;
    Ok(Json(Response { job_id: job.to_string() }))
}
