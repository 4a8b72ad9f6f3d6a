//! One server (contract F.4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Server;
use crate::error::ApiError;
use crate::extract::{Authorised, PathId, ServerInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowServer",
    verb: Verb::Get,
    path: "/v1/{project_id}/cloudservers/{server_id}",
    group: "Servers",
    summary: "Shows a server.",
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
#[schema(as = ShowServerResponse)]
struct Response {
    server: Server,
}

/// `GET /v1/{project_id}/cloudservers/{server_id}`
#[tracing::instrument(name = "api.servers.show", skip_all, fields(server.id = %server))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(server): PathId<ServerInPath>,
) -> Result<Json<Response>, ApiError> {
    let server = api.services.servers.show(&access, server).await?;
    Ok(Json(Response { server: Server::of(server, access.project()) }))
}
