//! `UnregisterAgent` (contract C61). The answer is 200 without a body.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{AgentInPath, Authorised, PathId};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "UnregisterAgent",
    verb: Verb::Delete,
    path: "/v3/{project_id}/agents/{agent_id}",
    group: "Agents",
    summary: "Forgets an agent with its directories.",
    admission: Admission::Project,
    action: Some("cbr:agents:delete"),
    event: Some(Event::new("unregisterAgent", "agent")),
    success: 200,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/agents/{agent_id}`
#[tracing::instrument(name = "api.agents.unregister", skip_all, fields(agent.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<AgentInPath>,
) -> Result<StatusCode, ApiError> {
    api.services.agents.unregister(&access, id).await?;
    Ok(StatusCode::OK)
}
