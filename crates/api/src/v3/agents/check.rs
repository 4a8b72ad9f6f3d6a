//! `CheckAgent` (contract C55): whether servers have the agent that makes databases consistent. No server
//! has one: this service offers none yet.

use axum::Json;
use axum::routing::on;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};

/// The kinds of servers that may have an agent (contract B.6).
const KINDS: [&str; 2] = ["OS::Nova::Server", "OS::Ironic::BareMetalServer"];
/// Most servers in one request.
const ITEMS_MAX: usize = 1000;

pub(crate) const OPERATION: Operation = Operation {
    name: "CheckAgent",
    verb: Verb::Post,
    path: "/v3/{project_id}/agent/check",
    group: "Protectables",
    summary: "Says which servers have the agent for consistent databases; none has.",
    admission: Admission::Project,
    action: Some("cbr:backups:checkAgent"),
    event: None,
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CheckAgentRequest)]
struct Request {
    agent_status: Vec<Asked>,
}

/// A server that is asked about.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AgentStatusResource)]
struct Asked {
    resource_id: String,
    resource_type: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckAgentResponse)]
struct Response {
    agent_status: Vec<Status>,
}

/// Whether a server has the agent. What is null is said only of those that have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentStatus)]
struct Status {
    resource_id: String,
    installed: bool,
    is_old: Option<bool>,
    version: Option<String>,
    code: Option<i64>,
    message: Option<String>,
}

/// `POST /v3/{project_id}/agent/check`
#[tracing::instrument(name = "api.agents.check", skip_all)]
async fn handle(
    Authorised(_): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.agent_status.is_empty() || request.agent_status.len() > ITEMS_MAX {
        return Err(ApiError::invalid("agent_status", format_args!("1 to {ITEMS_MAX} servers")));
    }
    let statuses = request.agent_status.into_iter().map(|asked| {
        if !KINDS.contains(&asked.resource_type.as_str()) {
            return Err(ApiError::invalid("resource_type", KINDS.join(" or ")));
        }
        let id = asked.resource_id.parse::<cbr_model::ResourceId>();
        let id = id.map_err(|why| ApiError::invalid("resource_id", why))?;
        Ok(Status {
            resource_id: id.to_string(),
            installed: false,
            is_old: None,
            version: None,
            code: None,
            message: None,
        })
    });
    Ok(Json(Response { agent_status: statuses.collect::<Result<_, _>>()? }))
}
