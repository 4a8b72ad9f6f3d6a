//! Policies: those every account has, and those it makes for itself (IAM-04, IAM-08, IAM-09).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::permission::Document;
use cbr_service::identity::{Role, RoleText};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::row::account;
use super::wire::SelfLink;
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount, PathId, RoleInPath};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::settings::Settings;
use crate::state::Api;

const ROLES: &str = "/v3/roles";
const CUSTOM: &str = "/v3.0/OS-ROLE/roles";
const CUSTOM_ROLE: &str = "/v3.0/OS-ROLE/roles/{role_id}";
/// Has an effect in projects.
const IN_PROJECTS: &str = "XA";
/// Has an effect in the account as a whole.
const IN_ACCOUNT: &str = "AX";

pub(crate) const LIST: Operation = account(
    "KeystoneListPermissions",
    (Verb::Get, ROLES),
    "Lists the policies that can be granted.",
    "iam:roles:listRoles",
    |filter| on(filter, list),
)
.reads(&[
    parameter("name", Form::Text, "The code name is exactly this."),
    parameter("display_name", Form::Text, "The name for people holds this."),
    parameter("catalog", Form::Text, "Of this service."),
    parameter("permission_type", Form::Text, "`policy`; `role` finds nothing: all are policies."),
    parameter("domain_id", Form::Text, "Made by this account."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const SHOW: Operation = account(
    "KeystoneShowPermission",
    (Verb::Get, "/v3/roles/{role_id}"),
    "Shows a policy.",
    "iam:roles:getRole",
    |filter| on(filter, show),
)
.gives(schema_of::<Response>());

pub(crate) const LIST_CUSTOM: Operation = account(
    "ListCustomPolicies",
    (Verb::Get, CUSTOM),
    "Lists the policies that the account made.",
    "iam:roles:listRoles",
    |filter| on(filter, list_custom),
)
.gives(schema_of::<ListResponse>());

pub(crate) const SHOW_CUSTOM: Operation = account(
    "ShowCustomPolicy",
    (Verb::Get, CUSTOM_ROLE),
    "Shows a policy that the account made.",
    "iam:roles:getRole",
    |filter| on(filter, show_custom),
)
.gives(schema_of::<Response>());

pub(crate) const CREATE: Operation = account(
    "CreateCloudServiceCustomPolicy",
    (Verb::Post, CUSTOM),
    "Makes a policy, which has no effect until it is granted.",
    "iam:roles:createRole",
    |filter| on(filter, create),
)
.records("createPolicy", "role")
.succeeds_with(201)
.takes(schema_of::<Request>())
.gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = account(
    "UpdateCloudServiceCustomPolicy",
    (Verb::Patch, CUSTOM_ROLE),
    "Replaces what a policy says, at once for all it is granted to.",
    "iam:roles:updateRole",
    |filter| on(filter, update),
)
.records("updatePolicy", "role")
.takes(schema_of::<Request>())
.gives(schema_of::<Response>());

pub(crate) const DELETE: Operation = account(
    "DeleteCustomPolicy",
    (Verb::Delete, CUSTOM_ROLE),
    "Removes a policy that is granted to nobody.",
    "iam:roles:deleteRole",
    |filter| on(filter, delete),
)
.records("deletePolicy", "role");

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowRoleResponse)]
struct Response {
    role: WireRole,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListRolesResponse)]
pub(super) struct ListResponse {
    roles: Vec<WireRole>,
    total_number: usize,
    links: SelfLink,
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneRole)]
struct WireRole {
    id: String,
    name: String,
    display_name: String,
    /// `XA`: in projects; `AX`: in the account as a whole.
    #[serde(rename = "type")]
    kind: &'static str,
    catalog: &'static str,
    description: String,
    description_cn: String,
    /// Null: every account has it.
    domain_id: Option<String>,
    #[schema(value_type = Object)]
    policy: Document,
    /// Milliseconds since 1970; null: it was always there.
    created_time: Option<String>,
    updated_time: Option<String>,
    links: SelfLink,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CustomPolicyRequest)]
struct Request {
    role: Text,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CustomPolicy)]
struct Text {
    display_name: String,
    /// `XA`: in projects; `AX`: in the account as a whole.
    #[serde(rename = "type")]
    kind: String,
    description: Option<String>,
    description_cn: Option<String>,
    /// `{"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": ["cbr:*:get*"]}]}`
    #[schema(value_type = Object)]
    policy: Value,
}

/// `GET /v3/roles`
#[tracing::instrument(name = "api.identity.list_roles", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let own = access.domain().to_string();
    let roles = api.services.identity.roles(&access).await?;
    let roles = roles.into_iter().map(|role| WireRole::of(&role, &api.settings));
    let is_meant = |role: &WireRole| {
        let is_custom = role.domain_id.is_some();
        query.text("name").is_none_or(|name| role.name == name)
            && query.text("display_name").is_none_or(|name| role.display_name.contains(name))
            && query.text("catalog").is_none_or(|catalog| role.catalog == catalog)
            && query.text("permission_type").is_none_or(|kind| kind == "policy")
            && query.text("domain_id").is_none_or(|id| is_custom && id == own)
    };
    Ok(Json(wrapped(roles.filter(is_meant).collect(), &api.settings, ROLES)))
}

/// `GET /v3/roles/{role_id}`
#[tracing::instrument(name = "api.identity.show_role", skip_all, fields(role.id = %role))]
async fn show(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(role): PathId<RoleInPath>,
) -> Result<Json<Response>, ApiError> {
    let role = api.services.identity.role(&access, role).await?;
    Ok(Json(Response { role: WireRole::of(&role, &api.settings) }))
}

/// `GET /v3.0/OS-ROLE/roles`
#[tracing::instrument(name = "api.identity.list_custom_roles", skip_all)]
async fn list_custom(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
) -> Result<Json<ListResponse>, ApiError> {
    let roles = api.services.identity.custom_roles(&access).await?;
    let roles = roles.into_iter().map(|role| WireRole::of(&Role::Custom(role), &api.settings));
    Ok(Json(wrapped(roles.collect(), &api.settings, CUSTOM)))
}

/// `GET /v3.0/OS-ROLE/roles/{role_id}`
#[tracing::instrument(name = "api.identity.show_custom_role", skip_all, fields(role.id = %role))]
async fn show_custom(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(role): PathId<RoleInPath>,
) -> Result<Json<Response>, ApiError> {
    let role = api.services.identity.custom_role(&access, role).await?;
    Ok(Json(Response { role: WireRole::of(&Role::Custom(role), &api.settings) }))
}

/// `POST /v3.0/OS-ROLE/roles`
#[tracing::instrument(name = "api.identity.create_role", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let role = api.services.identity.create_role(&access, request.role.read()?).await?;
    Ok(Json(Response { role: WireRole::of(&Role::Custom(role), &api.settings) }))
}

/// `PATCH /v3.0/OS-ROLE/roles/{role_id}`
#[tracing::instrument(name = "api.identity.update_role", skip_all, fields(role.id = %role))]
async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(role): PathId<RoleInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let role = api.services.identity.update_role(&access, role, request.role.read()?).await?;
    Ok(Json(Response { role: WireRole::of(&Role::Custom(role), &api.settings) }))
}

/// `DELETE /v3.0/OS-ROLE/roles/{role_id}`
#[tracing::instrument(name = "api.identity.delete_role", skip_all, fields(role.id = %role))]
async fn delete(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(role): PathId<RoleInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.delete_role(&access, role).await?)
}

/// A list of policies as it is answered.
pub(super) fn list_of(roles: &[Role], settings: &Settings, path: &str) -> ListResponse {
    wrapped(roles.iter().map(|role| WireRole::of(role, settings)).collect(), settings, path)
}

fn wrapped(roles: Vec<WireRole>, settings: &Settings, path: &str) -> ListResponse {
    ListResponse { total_number: roles.len(), roles, links: SelfLink::to(settings, path) }
}

/// The policy that a body's JSON says.
pub(super) fn document(json: &Value) -> Result<Document, ApiError> {
    Document::parse(&json.to_string()).map_err(|why| ApiError::invalid("policy", why))
}

impl Text {
    fn read(self) -> Result<RoleText, ApiError> {
        let is_for_projects = match self.kind.as_str() {
            IN_PROJECTS => true,
            IN_ACCOUNT => false,
            _ => {
                let reason = "XA for projects, or AX for the account as a whole";
                return Err(ApiError::invalid("type", reason));
            }
        };
        Ok(RoleText {
            name: self.display_name,
            description: self.description.unwrap_or_default(),
            description_cn: self.description_cn.unwrap_or_default(),
            is_for_projects,
            document: document(&self.policy)?,
        })
    }
}

impl WireRole {
    fn of(role: &Role, settings: &Settings) -> Self {
        let id = role.id().to_string();
        let links = SelfLink::to(settings, &format!("/v3/roles/{id}"));
        let kind = if role.is_for_projects() { IN_PROJECTS } else { IN_ACCOUNT };
        match role {
            Role::System(role) => Self {
                id,
                name: role.code.to_owned(),
                display_name: role.name.to_owned(),
                kind,
                catalog: role.catalog,
                description: role.about.to_owned(),
                description_cn: String::new(),
                domain_id: None,
                policy: role.document(),
                created_time: None,
                updated_time: None,
                links,
            },
            Role::Custom(role) => Self {
                name: format!("custom_{id}"),
                id,
                display_name: role.name.clone(),
                kind,
                catalog: "CUSTOMED",
                description: role.description.clone(),
                description_cn: role.description_cn.clone(),
                domain_id: Some(role.domain.to_string()),
                policy: role.document.clone(),
                created_time: Some((role.created_at.0 / 1000).to_string()),
                updated_time: Some((role.updated_at.0 / 1000).to_string()),
                links,
            },
        }
    }
}
