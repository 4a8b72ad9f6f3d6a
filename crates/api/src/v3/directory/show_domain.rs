//! `ShowDomain` (contract C73): whose a project is.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authenticated, PathId, SourceProjectInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowDomain",
    verb: Verb::Get,
    path: "/v3/domain/{source_project_id}",
    group: "Domains",
    summary: "Shows a project's name and account.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowDomainResponse)]
struct Response {
    domain_id: String,
    domain_name: String,
    project_id: String,
    project_name: String,
}

/// `GET /v3/domain/{source_project_id}`
#[tracing::instrument(name = "api.directory.show_domain", skip_all, fields(project.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<SourceProjectInPath>,
) -> Result<Json<Response>, ApiError> {
    let (domain, project) = api.services.directory.account_of(&caller, id).await?;
    Ok(Json(Response {
        domain_id: domain.id.to_string(),
        domain_name: domain.name,
        project_id: project.id.to_string(),
        project_name: project.name,
    }))
}
