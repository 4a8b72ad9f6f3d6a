//! Deleting servers that were made here (contract F.4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ResourceId;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteServers",
    verb: Verb::Post,
    path: "/v1/{project_id}/cloudservers/delete",
    group: "Servers",
    summary: "Stops and deletes servers that were made here; their disks stay unless told otherwise.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:delete"),
    event: Some(Event::new("deleteServer", "server")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = DeleteServersRequest)]
struct Request {
    servers: Vec<ServerRef>,
    /// Whether all their disks are deleted as well, the system disk included; default false.
    #[serde(default)]
    delete_volume: bool,
    /// There are no public addresses here to be deleted.
    #[serde(default)]
    delete_publicip: bool,
}

/// A server that is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ServerToDelete)]
struct ServerRef {
    id: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeleteServersResponse)]
struct Response {
    job_id: String,
}

/// `POST /v1/{project_id}/cloudservers/delete`
#[tracing::instrument(name = "api.servers.delete", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.delete_publicip {
        return Err(ApiError::invalid("delete_publicip", "servers have no public addresses here"));
    }
    let id = |server: &ServerRef| id_of(&server.id, ErrorCode::ServerNotFound);
    let ids: Vec<ResourceId> = request.servers.iter().map(id).collect::<Result<_, _>>()?;
    let job = api.services.servers.delete(&access, &ids, request.delete_volume).await?;
    Ok(Json(Response { job_id: job.to_string() }))
}
