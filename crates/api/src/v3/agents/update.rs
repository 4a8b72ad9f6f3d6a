//! `UpdateAgent` (contract C60): the agent says that it was taken off its host.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use crate::error::ApiError;
use crate::extract::{AgentInPath, Authorised, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateAgent",
    verb: Verb::Put,
    path: "/v3/{project_id}/agents/{agent_id}",
    group: "Agents",
    summary: "Notes that an agent was taken off its host.",
    admission: Admission::Project,
    action: Some("cbr:agents:update"),
    event: Some(Event::new("updateAgent", "agent")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAgentRequest)]
struct Request {
    agent: AgentUpdate,
}

/// What is different.
#[derive(Debug, Deserialize, ToSchema)]
struct AgentUpdate {
    /// `uninstall`.
    status: String,
}

/// `PUT /v3/{project_id}/agents/{agent_id}`
#[tracing::instrument(name = "api.agents.update", skip_all, fields(agent.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<AgentInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.agent.status != "uninstall" {
        return Err(ApiError::invalid("status", "it can only become uninstall"));
    }
    let agent = api.services.agents.uninstall(&access, id).await?.into();
    Ok(Json(Response { agent }))
}
