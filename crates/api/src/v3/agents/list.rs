//! `ListAgent` (contract C58).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::agent::AgentStatus;
use cbr_model::query::AgentFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Agent;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListAgent",
    verb: Verb::Get,
    path: "/v3/{project_id}/agents",
    group: "Agents",
    summary: "Lists agents, newest first.",
    admission: Admission::Project,
    action: Some("cbr:agents:list"),
    event: None,
    success: 200,
    query: &[
        parameter("agent_id", Form::Texts, "One of these ids."),
        parameter("status", Form::Texts, "normal, abnormal or uninstall."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id; an extension."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAgentResponse)]
struct Response {
    agents: Vec<Agent>,
    /// How many match without paging.
    count: u64,
    limit: u32,
    offset: u64,
}

/// `GET /v3/{project_id}/agents`
#[tracing::instrument(name = "api.agents.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page()?;
    let filter = AgentFilter {
        ids: query.values("agent_id")?,
        statuses: query.words("status", AgentStatus::from_str_exact)?,
    };
    let found = api.services.agents.list(&access, &filter, page).await?;
    let agents = found.rows.into_iter().map(Agent::from).collect();
    Ok(Json(Response { agents, count: found.total, limit: page.limit, offset: page.offset }))
}
