//! `ListDomainProjects` (contract C72): whom a backup can be shared with, by the name of the account.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authenticated, PathText, TextParameter};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListDomainProjects",
    verb: Verb::Get,
    path: "/v3/domain/{domain_name}/projects",
    group: "Domains",
    summary: "Lists the projects of the account of this name; none if there is no such account.",
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
#[schema(as = ListDomainProjectsResponse)]
struct Response {
    projects: Vec<DomainProject>,
}

/// A project of an account.
#[derive(Debug, Serialize, ToSchema)]
struct DomainProject {
    project_id: String,
    project_name: String,
}

/// `{domain_name}`
#[derive(Debug)]
enum DomainName {}

impl TextParameter for DomainName {
    const NAME: &'static str = "domain_name";
}

/// `GET /v3/domain/{domain_name}/projects`
#[tracing::instrument(name = "api.directory.domain_projects", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authenticated(_): Authenticated,
    PathText(name, _): PathText<DomainName>,
) -> Result<Json<Response>, ApiError> {
    let found = api.services.directory.projects_of(&name).await?;
    let projects = found.into_iter().map(|project| DomainProject {
        project_id: project.id.to_string(),
        project_name: project.name,
    });
    Ok(Json(Response { projects: projects.collect() }))
}
