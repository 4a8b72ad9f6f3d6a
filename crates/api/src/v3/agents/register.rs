//! `RegisterAgent` (contract C57): called by the agent, again and again.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::agent::AgentKind;
use cbr_model::audit::Event;
use cbr_service::agents::NewAgent;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "RegisterAgent",
    verb: Verb::Post,
    path: "/v3/{project_id}/agents",
    group: "Agents",
    summary: "Registers an agent, or says that it is still there.",
    admission: Admission::Project,
    action: Some("cbr:agents:register"),
    event: Some(Event::new("registerAgent", "agent")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RegisterAgentRequest)]
struct Request {
    agent: AgentRegister,
}

/// What an agent says of itself.
#[derive(Debug, Deserialize, ToSchema)]
struct AgentRegister {
    /// The id it chose: a UUID.
    agent_id: String,
    /// `native` (default) or `cloud`.
    agent_type: Option<String>,
    /// Three numbers of one to three digits.
    agent_version: Option<String>,
    host_ip: String,
    host_name: String,
    host_nickname: Option<String>,
    host_os: String,
}

/// `POST /v3/{project_id}/agents`
#[tracing::instrument(name = "api.agents.register", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.agent.read()?;
    let agent = api.services.agents.register(&access, wanted).await?.into();
    Ok(Json(Response { agent }))
}

impl AgentRegister {
    fn read(self) -> Result<NewAgent, ApiError> {
        let kind = match self.agent_type.as_deref() {
            None => AgentKind::Native,
            Some(word) => AgentKind::from_str_exact(word)
                .ok_or_else(|| ApiError::invalid("agent_type", "native or cloud"))?,
        };
        Ok(NewAgent {
            id: id_of(&self.agent_id, ErrorCode::AgentIllegal)?,
            kind,
            version: self.agent_version,
            host_ip: self.host_ip,
            host_name: self.host_name,
            host_nickname: self.host_nickname.filter(|name| !name.is_empty()),
            host_os: self.host_os,
        })
    }
}
