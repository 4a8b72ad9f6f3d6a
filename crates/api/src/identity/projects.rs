//! The projects a caller may use (contract F.1, E.1: the SDK finds its project here).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::{Caller, Project};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::account;
use super::users::refuse_other_account;
use super::wire::{SelfLink, WireProject};
use crate::error::ApiError;
use crate::extract::{Authenticated, JsonBody, OverAccount, PathId, ProjectInPath};
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

pub(crate) const CREATE: Operation = account(
    "KeystoneCreateProject",
    (Verb::Post, "/v3/projects"),
    "Makes a project.",
    "iam:projects:createProject",
    |filter| on(filter, create),
)
.records("createProject", "project")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<ShowResponse>());

pub(crate) const UPDATE: Operation = account(
    "KeystoneUpdateProject",
    (Verb::Patch, "/v3/projects/{id}"),
    "Changes name and description.",
    "iam:projects:updateProject",
    |filter| on(filter, update),
)
.records("updateProject", "project")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<ShowResponse>());

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListProjectsResponse)]
pub(super) struct ListResponse {
    pub(super) projects: Vec<WireProject>,
    pub(super) links: SelfLink,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeystoneCreateProjectRequest)]
struct CreateRequest {
    project: ProjectText,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProjectText {
    name: String,
    description: Option<String>,
    domain_id: Option<String>,
    /// The account.
    parent_id: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeystoneUpdateProjectRequest)]
struct UpdateRequest {
    project: ProjectPatch,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct ProjectPatch {
    name: Option<String>,
    description: Option<String>,
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
    let said = api.services.identity.project_descriptions(&caller).await?;
    let projects = projects
        .iter()
        .filter(|project| enabled.is_none_or(|enabled| project.enabled == enabled))
        .map(|project| WireProject::of(project, &said, &api.settings))
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
    shown(&api, &caller, &project).await
}

/// `POST /v3/projects`
#[tracing::instrument(name = "api.identity.create_project", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<ShowResponse>, ApiError> {
    let ProjectText { name, description, domain_id, parent_id } = request.project;
    let own = access.domain().to_string();
    refuse_other_account(domain_id.as_deref(), &own)?;
    // Projects lie below their account, not below each other.
    refuse_other_account(parent_id.as_deref(), &own)?;
    let description = description.unwrap_or_default();
    let project = api.services.identity.create_project(&access, name, description).await?;
    shown(&api, access.actor().caller(), &project).await
}

/// `PATCH /v3/projects/{id}`
#[tracing::instrument(name = "api.identity.update_project", skip_all, fields(project.id = %project))]
async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(project): PathId<ProjectInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<ShowResponse>, ApiError> {
    let ProjectPatch { name, description } = request.project;
    let identity = &api.services.identity;
    let project = identity.update_project(&access, project, name, description).await?;
    shown(&api, access.actor().caller(), &project).await
}

async fn shown(
    api: &Api,
    caller: &Caller,
    project: &Project,
) -> Result<Json<ShowResponse>, ApiError> {
    let said = api.services.identity.project_descriptions(caller).await?;
    Ok(Json(ShowResponse { project: WireProject::of(project, &said, &api.settings) }))
}

fn is_of_other_domain(query: &Query, caller: &Caller) -> bool {
    query.text("domain_id").is_some_and(|id| id.parse() != Ok(caller.domain.id))
}
