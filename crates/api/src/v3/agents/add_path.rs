//! `AddAgentPath` (contract C62).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::agents::{NewPath, REQUEST_PATHS_MAX};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{AgentInPath, Authorised, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "AddAgentPath",
    verb: Verb::Post,
    path: "/v3/{project_id}/agents/{agent_id}/add-path",
    group: "Agents",
    summary: "Adds directories that are to be backed up, all or none; at most 8 in total.",
    admission: Admission::Project,
    action: Some("cbr:agents:addPath"),
    event: Some(Event::new("addAgentPath", "agent")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AddAgentPathRequest)]
struct Request {
    /// Absolute paths.
    add_path: Vec<String>,
    exclude_path: Option<Vec<ExcludePath>>,
}

/// What below a directory is left out.
#[derive(Debug, Deserialize, ToSchema)]
struct ExcludePath {
    /// One of `add_path`.
    path_name: Option<String>,
    exclude_path_name: Option<Vec<String>>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddAgentPathResponse)]
struct Response {
    added: Vec<String>,
    existed: Vec<String>,
}

/// `POST /v3/{project_id}/agents/{agent_id}/add-path`
#[tracing::instrument(name = "api.agents.add_path", skip_all, fields(agent.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<AgentInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let done = api.services.agents.add_paths(&access, id, request.read()?).await?;
    Ok(Json(Response { added: done.added, existed: done.existed }))
}

impl Request {
    fn read(self) -> Result<Vec<NewPath>, ApiError> {
        let excludes = self.exclude_path.as_ref().map_or(0, Vec::len);
        if self.add_path.len().max(excludes) > REQUEST_PATHS_MAX {
            let reason = format!("1 to {REQUEST_PATHS_MAX} directories");
            return Err(ApiError::invalid("add_path", reason));
        }
        let mut wanted: Vec<NewPath> =
            self.add_path.into_iter().map(|path| NewPath { path, exclude: vec![] }).collect();
        for exclude in self.exclude_path.unwrap_or_default() {
            let named = exclude.path_name.unwrap_or_default();
            let path = wanted.iter_mut().find(|path| path.path == named);
            let path =
                path.ok_or_else(|| ApiError::invalid("exclude_path", "it names no added path"))?;
            for name in exclude.exclude_path_name.unwrap_or_default() {
                // They are shown separated by commas.
                if name.is_empty() || name.contains(',') {
                    let rule = "a name is not empty and has no comma";
                    return Err(ApiError::invalid("exclude_path_name", rule));
                }
                path.exclude.push(name);
            }
        }
        Ok(wanted)
    }
}
