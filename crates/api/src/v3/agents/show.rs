//! `ShowAgent` (contract C59).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Agent;
use crate::error::ApiError;
use crate::extract::{AgentInPath, Authorised, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowAgent",
    verb: Verb::Get,
    path: "/v3/{project_id}/agents/{agent_id}",
    group: "Agents",
    summary: "Shows an agent with its directories.",
    admission: Admission::Project,
    action: Some("cbr:agents:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowAgentResponse)]
pub(super) struct Response {
    pub(super) agent: Agent,
}

/// `GET /v3/{project_id}/agents/{agent_id}`
#[tracing::instrument(name = "api.agents.show", skip_all, fields(agent.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<AgentInPath>,
) -> Result<Json<Response>, ApiError> {
    let agent = api.services.agents.show(&access, id).await?.into();
    Ok(Json(Response { agent }))
}
