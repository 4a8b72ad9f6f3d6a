//! Groups and who is in them (IAM-01).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::Group;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::account;
use super::users::{ListResponse as UsersResponse, list_of as users_of, refuse_other_account};
use super::wire::SelfLink;
use crate::error::ApiError;
use crate::extract::{GroupInPath, JsonBody, OverAccount, PathId, UserInPath};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::settings::Settings;
use crate::state::Api;

const GROUPS: &str = "/v3/groups";
const GROUP: &str = "/v3/groups/{group_id}";
const MEMBER: &str = "/v3/groups/{group_id}/users/{user_id}";

pub(crate) const LIST: Operation = account(
    "KeystoneListGroups",
    (Verb::Get, GROUPS),
    "Lists the groups of the account.",
    "iam:groups:listGroups",
    |filter| on(filter, list),
)
.reads(&[
    parameter("name", Form::Text, "The name is exactly this."),
    parameter("domain_id", Form::Text, "Of this account."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const CREATE: Operation = account(
    "KeystoneCreateGroup",
    (Verb::Post, GROUPS),
    "Makes a group, which is granted nothing yet.",
    "iam:groups:createGroup",
    |filter| on(filter, create),
)
.records("createGroup", "group")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<Response>());

pub(crate) const SHOW: Operation = account(
    "KeystoneShowGroup",
    (Verb::Get, GROUP),
    "Shows a group.",
    "iam:groups:getGroup",
    |filter| on(filter, show),
)
.gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = account(
    "KeystoneUpdateGroup",
    (Verb::Patch, GROUP),
    "Changes what the body names.",
    "iam:groups:updateGroup",
    |filter| on(filter, update),
)
.records("updateGroup", "group")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<Response>());

pub(crate) const DELETE: Operation = account(
    "KeystoneDeleteGroup",
    (Verb::Delete, GROUP),
    "Removes a group with all it was granted; its users stay.",
    "iam:groups:deleteGroup",
    |filter| on(filter, delete),
)
.records("deleteGroup", "group")
.succeeds_with(204);

pub(crate) const LIST_USERS: Operation = account(
    "KeystoneListUsersForGroupByAdmin",
    (Verb::Get, "/v3/groups/{group_id}/users"),
    "Lists the users in a group.",
    "iam:users:listUsersForGroup",
    |filter| on(filter, list_users),
)
.gives(schema_of::<UsersResponse>());

pub(crate) const ADD_USER: Operation = account(
    "KeystoneAddUserToGroup",
    (Verb::Put, MEMBER),
    "Puts a user into a group.",
    "iam:permissions:addUserToGroup",
    |filter| on(filter, add_user),
)
.records("addUserToGroup", "group")
.succeeds_with(204);

pub(crate) const CHECK_USER: Operation = account(
    "KeystoneCheckUserInGroup",
    (Verb::Head, MEMBER),
    "Says whether a user is in a group.",
    "iam:permissions:checkUserInGroup",
    |filter| on(filter, check_user),
)
.succeeds_with(204);

pub(crate) const REMOVE_USER: Operation = account(
    "KeystoneRemoveUserFromGroup",
    (Verb::Delete, MEMBER),
    "Takes a user out of a group.",
    "iam:permissions:removeUserFromGroup",
    |filter| on(filter, remove_user),
)
.records("removeUserFromGroup", "group")
.succeeds_with(204);

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowGroupResponse)]
struct Response {
    group: WireGroup,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListGroupsResponse)]
pub(super) struct ListResponse {
    groups: Vec<WireGroup>,
    links: SelfLink,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneGroup)]
pub(super) struct WireGroup {
    id: String,
    name: String,
    domain_id: String,
    description: String,
    /// Milliseconds since 1970.
    create_time: i64,
    links: SelfLink,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeystoneCreateGroupRequest)]
struct CreateRequest {
    group: GroupText,
}

#[derive(Debug, Deserialize, ToSchema)]
struct GroupText {
    name: String,
    description: Option<String>,
    domain_id: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeystoneUpdateGroupRequest)]
struct UpdateRequest {
    group: GroupPatch,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct GroupPatch {
    name: Option<String>,
    description: Option<String>,
}

/// `GET /v3/groups`
#[tracing::instrument(name = "api.identity.list_groups", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let own = access.domain().to_string();
    let groups = api.services.identity.groups(&access).await?;
    let is_meant = |group: &&Group| {
        query.text("name").is_none_or(|name| group.name == name)
            && query.text("domain_id").is_none_or(|id| id == own)
    };
    let groups = groups.iter().filter(is_meant).map(|group| WireGroup::of(group, &api.settings));
    Ok(Json(list_of(groups.collect(), &api.settings)))
}

/// `POST /v3/groups`
#[tracing::instrument(name = "api.identity.create_group", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<Response>, ApiError> {
    let GroupText { name, description, domain_id } = request.group;
    refuse_other_account(domain_id.as_deref(), &access.domain().to_string())?;
    let description = description.unwrap_or_default();
    let group = api.services.identity.create_group(&access, name, description).await?;
    Ok(Json(Response { group: WireGroup::of(&group, &api.settings) }))
}

/// `GET /v3/groups/{group_id}`
#[tracing::instrument(name = "api.identity.show_group", skip_all, fields(group.id = %group))]
async fn show(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
) -> Result<Json<Response>, ApiError> {
    let group = api.services.identity.group(&access, group).await?;
    Ok(Json(Response { group: WireGroup::of(&group, &api.settings) }))
}

/// `PATCH /v3/groups/{group_id}`
#[tracing::instrument(name = "api.identity.update_group", skip_all, fields(group.id = %group))]
async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Response>, ApiError> {
    let GroupPatch { name, description } = request.group;
    let group = api.services.identity.update_group(&access, group, name, description).await?;
    Ok(Json(Response { group: WireGroup::of(&group, &api.settings) }))
}

/// `DELETE /v3/groups/{group_id}`
#[tracing::instrument(name = "api.identity.delete_group", skip_all, fields(group.id = %group))]
async fn delete(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.delete_group(&access, group).await?)
}

/// `GET /v3/groups/{group_id}/users`
#[tracing::instrument(name = "api.identity.list_users_in_group", skip_all, fields(group.id = %group))]
async fn list_users(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
) -> Result<Json<UsersResponse>, ApiError> {
    let users = api.services.identity.users_in_group(&access, group).await?;
    Ok(Json(users_of(users.into_iter(), &api.settings)))
}

/// `PUT /v3/groups/{group_id}/users/{user_id}`
#[tracing::instrument(name = "api.identity.add_user", skip_all, fields(group.id = %group))]
async fn add_user(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
    PathId(user): PathId<UserInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.add_to_group(&access, group, user).await?)
}

/// `HEAD /v3/groups/{group_id}/users/{user_id}`
#[tracing::instrument(name = "api.identity.check_user", skip_all, fields(group.id = %group))]
async fn check_user(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
    PathId(user): PathId<UserInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.check_in_group(&access, group, user).await?)
}

/// `DELETE /v3/groups/{group_id}/users/{user_id}`
#[tracing::instrument(name = "api.identity.remove_user", skip_all, fields(group.id = %group))]
async fn remove_user(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(group): PathId<GroupInPath>,
    PathId(user): PathId<UserInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.remove_from_group(&access, group, user).await?)
}

/// A list of groups as it is answered.
pub(super) fn list_of(groups: Vec<WireGroup>, settings: &Settings) -> ListResponse {
    ListResponse { groups, links: SelfLink::to(settings, GROUPS) }
}

impl WireGroup {
    pub(super) fn of(group: &Group, settings: &Settings) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name.clone(),
            domain_id: group.domain.to_string(),
            description: group.description.clone(),
            create_time: group.created_at.0 / 1000,
            links: SelfLink::to(settings, &format!("/v3/groups/{}", group.id)),
        }
    }
}
