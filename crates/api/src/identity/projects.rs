//! The projects a caller may use (contract F.1, E.1: the SDK finds its project here).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::Caller;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{SelfLink, WireProject};
use crate::error::ApiError;
use crate::extract::{Authenticated, PathId, ProjectInPath};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const LIST: Operation = Operation {
    name: "KeystoneListProjects",
    verb: Verb::Get,
    path: "/v3/projects",
    group: "Identity",
    summary: "Lists the projects the caller may use.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[
        parameter("name", Form::Text, "The name is exactly this."),
        parameter("domain_id", Form::Text, "Of this account."),
        parameter("enabled", Form::Flag, "Whether it may be used."),
    ],
    request: None,
    response: Some(schema_of::<ListResponse>()),
    mount: |filter| on(filter, list),
};

/// Keystone's other path of the same.
pub(crate) const LIST_AUTH: Operation =
    Operation { name: "KeystoneListAuthProjects", path: "/v3/auth/projects", ..LIST };

pub(crate) const SHOW: Operation = Operation {
    name: "ShowProject",
    verb: Verb::Get,
    path: "/v3/projects/{id}",
    group: "Identity",
    summary: "Shows a project the caller may use.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<ShowResponse>()),
    mount: |filter| on(filter, show),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListProjectsResponse)]
struct ListResponse {
    projects: Vec<WireProject>,
    links: SelfLink,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowProjectResponse)]
struct ShowResponse {
    project: WireProject,
}

/// `GET /v3/projects`
#[tracing::instrument(name = "api.identity.list_projects", skip_all)]
async fn list(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let enabled: Option<bool> = query.value("enabled")?;
    let projects = if is_of_other_domain(&query, &caller) {
        vec![]
    } else {
        api.services.identity.projects(&caller, query.text("name")).await?
    };
    let projects = projects
        .iter()
        .filter(|project| enabled.is_none_or(|enabled| project.enabled == enabled))
        .map(|project| WireProject::of(project, &api.settings))
        .collect();
    Ok(Json(ListResponse { projects, links: SelfLink::to(&api.settings, "/v3/projects") }))
}

/// `GET /v3/projects/{id}`
#[tracing::instrument(name = "api.identity.show_project", skip_all, fields(project.id = %project))]
async fn show(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(project): PathId<ProjectInPath>,
) -> Result<Json<ShowResponse>, ApiError> {
    let project = api.services.identity.project(&caller, project).await?;
    Ok(Json(ShowResponse { project: WireProject::of(&project, &api.settings) }))
}

fn is_of_other_domain(query: &Query, caller: &Caller) -> bool {
    query.text("domain_id").is_some_and(|id| id.parse() != Ok(caller.domain.id))
}
