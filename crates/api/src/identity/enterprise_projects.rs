//! Enterprise projects (RGN-02, RGN-03, `/v1.0/enterprise-projects`).

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::on;
use cbr_model::identity::EnterpriseProject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::account;
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

const ALL: &str = "/v1.0/enterprise-projects";
const ONE: &str = "/v1.0/enterprise-projects/{enterprise_project_id}";
/// The state of one that things may be put into.
const ENABLED: u8 = 1;
const DISABLED: u8 = 2;

pub(crate) const LIST: Operation = account(
    "ListEnterpriseProject",
    (Verb::Get, ALL),
    "Lists the enterprise projects of the account.",
    "eps:enterpriseProjects:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("id", Form::Text, "Only this one."),
    parameter("name", Form::Text, "The name holds this."),
    parameter("status", Form::Integer, "1: enabled; 2: disabled."),
    parameter("limit", Form::Integer, "At most this many."),
    parameter("offset", Form::Integer, "Skip this many."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const CREATE: Operation = account(
    "CreateEnterpriseProject",
    (Verb::Post, ALL),
    "Makes an enterprise project.",
    "eps:enterpriseProjects:create",
    |filter| on(filter, create),
)
.records("createEnterpriseProject", "enterpriseProject")
.succeeds_with(201)
.takes(schema_of::<Request>())
.gives(schema_of::<Response>());

pub(crate) const SHOW: Operation = account(
    "ShowEnterpriseProject",
    (Verb::Get, ONE),
    "Shows an enterprise project.",
    "eps:enterpriseProjects:get",
    |filter| on(filter, show),
)
.gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = account(
    "UpdateEnterpriseProject",
    (Verb::Put, ONE),
    "Changes name and description.",
    "eps:enterpriseProjects:update",
    |filter| on(filter, update),
)
.records("updateEnterpriseProject", "enterpriseProject")
.takes(schema_of::<Request>())
.gives(schema_of::<Response>());

pub(crate) const ACT: Operation = account(
    "EnableEnterpriseProject",
    (Verb::Post, "/v1.0/enterprise-projects/{enterprise_project_id}/action"),
    "Enables or disables an enterprise project; nothing new goes into a disabled one.",
    "eps:enterpriseProjects:enable",
    |filter| on(filter, act),
)
.records("enableEnterpriseProject", "enterpriseProject")
.succeeds_with(204)
.takes(schema_of::<ActRequest>());

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnterpriseProjectResponse)]
struct Response {
    enterprise_project: WireProject,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListEnterpriseProjectsResponse)]
struct ListResponse {
    enterprise_projects: Vec<WireProject>,
    total_count: usize,
}

/// An enterprise project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnterpriseProject)]
struct WireProject {
    id: String,
    name: String,
    description: String,
    /// 1: enabled; 2: disabled.
    status: u8,
    created_at: String,
    updated_at: String,
    /// `prod`.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EnterpriseProjectRequest)]
struct Request {
    name: String,
    description: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EnterpriseProjectActionRequest)]
struct ActRequest {
    /// `enable` or `disable`.
    action: String,
}

/// `GET /v1.0/enterprise-projects`
#[tracing::instrument(name = "api.identity.list_enterprise_projects", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let page = query.page()?;
    let status: Option<u8> = query.value("status")?;
    let all = api.services.identity.enterprise_projects(&access).await?;
    let is_meant = |project: &&EnterpriseProject| {
        query.text("id").is_none_or(|id| project.id == id)
            && query.text("name").is_none_or(|name| project.name.contains(name))
            && status.is_none_or(|status| status == state_of(project))
    };
    let found: Vec<&EnterpriseProject> = all.iter().filter(is_meant).collect();
    let skipped = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let shown = found.iter().skip(skipped).take(page.limit as usize);
    let enterprise_projects = shown.map(|project| WireProject::of(project)).collect();
    Ok(Json(ListResponse { enterprise_projects, total_count: found.len() }))
}

/// `POST /v1.0/enterprise-projects`
#[tracing::instrument(name = "api.identity.create_enterprise_project", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let Request { name, description } = request;
    let description = description.unwrap_or_default();
    let identity = &api.services.identity;
    let project = identity.create_enterprise_project(&access, name, description).await?;
    Ok(Json(Response { enterprise_project: WireProject::of(&project) }))
}

/// `GET /v1.0/enterprise-projects/{enterprise_project_id}`
#[tracing::instrument(name = "api.identity.show_enterprise_project", skip_all)]
async fn show(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    Path(id): Path<String>,
) -> Result<Json<Response>, ApiError> {
    let project = api.services.identity.enterprise_project(&access, &id).await?;
    Ok(Json(Response { enterprise_project: WireProject::of(&project) }))
}

/// `PUT /v1.0/enterprise-projects/{enterprise_project_id}`
#[tracing::instrument(name = "api.identity.update_enterprise_project", skip_all)]
async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let Request { name, description } = request;
    let identity = &api.services.identity;
    let project =
        identity.update_enterprise_project(&access, &id, Some(name), description, None).await?;
    Ok(Json(Response { enterprise_project: WireProject::of(&project) }))
}

/// `POST /v1.0/enterprise-projects/{enterprise_project_id}/action`
#[tracing::instrument(name = "api.identity.act_on_enterprise_project", skip_all)]
async fn act(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<ActRequest>,
) -> Result<(), ApiError> {
    let enabled = match request.action.as_str() {
        "enable" => true,
        "disable" => false,
        _ => return Err(ApiError::invalid("action", "it is enable or disable")),
    };
    let identity = &api.services.identity;
    identity.update_enterprise_project(&access, &id, None, None, Some(enabled)).await?;
    Ok(())
}

const fn state_of(project: &EnterpriseProject) -> u8 {
    if project.enabled { ENABLED } else { DISABLED }
}

impl WireProject {
    fn of(project: &EnterpriseProject) -> Self {
        Self {
            id: project.id.clone(),
            name: project.name.clone(),
            description: project.description.clone(),
            status: state_of(project),
            created_at: time::format_zulu(project.created_at),
            updated_at: time::format_zulu(project.updated_at),
            kind: "prod",
        }
    }
}
