//! `RemoveAgentPath` (contract C63).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{AgentInPath, Authorised, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "RemoveAgentPath",
    verb: Verb::Post,
    path: "/v3/{project_id}/agents/{agent_id}/remove-path",
    group: "Agents",
    summary: "Removes directories that were to be backed up.",
    admission: Admission::Project,
    action: Some("cbr:agents:removePath"),
    event: Some(Event::new("removeAgentPath", "agent")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RemoveAgentPathRequest)]
struct Request {
    remove_path: Vec<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemoveAgentPathResponse)]
struct Response {
    removed: Vec<String>,
    not_existed: Vec<String>,
}

/// `POST /v3/{project_id}/agents/{agent_id}/remove-path`
#[tracing::instrument(name = "api.agents.remove_path", skip_all, fields(agent.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<AgentInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let done = api.services.agents.remove_paths(&access, id, request.remove_path).await?;
    Ok(Json(Response { removed: done.removed, not_existed: done.not_existed }))
}
