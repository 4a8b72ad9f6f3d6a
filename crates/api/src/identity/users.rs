//! Users (IAM-01).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::User;
use cbr_service::identity::{NewUser, UserChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::groups::{WireGroup, list_of as groups_of};
use super::row::{account, own};
use super::wire::{SelfLink, WireProject};
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount, OverOwn, PathId, UserInPath};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::settings::Settings;
use crate::state::Api;

const USERS: &str = "/v3/users";
const USER: &str = "/v3/users/{user_id}";

pub(crate) const LIST: Operation = account(
    "KeystoneListUsers",
    (Verb::Get, USERS),
    "Lists the users of the account.",
    "iam:users:listUsers",
    |filter| on(filter, list),
)
.reads(&[
    parameter("name", Form::Text, "The name is exactly this."),
    parameter("enabled", Form::Flag, "Whether the user may log in."),
    parameter("domain_id", Form::Text, "Of this account."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const CREATE: Operation = account(
    "KeystoneCreateUser",
    (Verb::Post, USERS),
    "Makes a user, who may do nothing yet.",
    "iam:users:createUser",
    |filter| on(filter, create),
)
.records("createUser", "user")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<Response>());

pub(crate) const SHOW: Operation =
    own("KeystoneShowUser", (Verb::Get, USER), "Shows a user.", "iam:users:getUser", |filter| {
        on(filter, show)
    })
    .gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = account(
    "KeystoneUpdateUserByAdmin",
    (Verb::Patch, USER),
    "Changes what the body names. A new password, or being barred, ends the user's tokens.",
    "iam:users:updateUser",
    |filter| on(filter, update),
)
.records("updateUser", "user")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<Response>());

pub(crate) const DELETE: Operation = account(
    "KeystoneDeleteUser",
    (Verb::Delete, USER),
    "Removes a user with its keys, tokens and memberships.",
    "iam:users:deleteUser",
    |filter| on(filter, delete),
)
.records("deleteUser", "user")
.succeeds_with(204);

pub(crate) const CHANGE_PASSWORD: Operation = own(
    "KeystoneUpdateUserPassword",
    (Verb::Post, "/v3/users/{user_id}/password"),
    "Replaces one's own password, which ends one's tokens.",
    "iam:users:updateUser",
    |filter| on(filter, change_password),
)
.records("changePassword", "user")
.succeeds_with(204)
.takes(schema_of::<PasswordRequest>());

pub(crate) const LIST_GROUPS: Operation = own(
    "KeystoneListGroupsForUser",
    (Verb::Get, "/v3/users/{user_id}/groups"),
    "Lists the groups a user is in.",
    "iam:groups:listGroups",
    |filter| on(filter, groups),
)
.gives(schema_of::<super::groups::ListResponse>());

pub(crate) const LIST_PROJECTS: Operation = own(
    "KeystoneListProjectsForUser",
    (Verb::Get, "/v3/users/{user_id}/projects"),
    "Lists the projects of a user's account.",
    "iam:projects:listProjects",
    |filter| on(filter, projects),
)
.gives(schema_of::<super::projects::ListResponse>());

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowUserResponse)]
pub(super) struct Response {
    pub(super) user: WireUser,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListUsersResponse)]
pub(super) struct ListResponse {
    users: Vec<WireUser>,
    links: SelfLink,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneUser)]
pub(super) struct WireUser {
    id: String,
    name: String,
    domain_id: String,
    enabled: bool,
    description: String,
    email: String,
    /// Null: never.
    password_expires_at: Option<String>,
    pwd_status: bool,
    links: SelfLink,
}

/// Body of a request. Not `Debug`: it holds a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = KeystoneCreateUserRequest)]
pub(super) struct CreateRequest {
    user: UserText,
}

/// Body of a request. Not `Debug`: it may hold a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = KeystoneUpdateUserRequest)]
pub(super) struct UpdateRequest {
    user: UserPatch,
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
pub(super) struct UserText {
    name: String,
    /// Without one the user only gets access keys.
    password: Option<String>,
    domain_id: Option<String>,
    enabled: Option<bool>,
    description: Option<String>,
    email: Option<String>,
}

/// What shall be different about a user.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct UserPatch {
    name: Option<String>,
    password: Option<String>,
    enabled: Option<bool>,
    description: Option<String>,
    email: Option<String>,
}

/// Body of a request. Not `Debug`: it holds passwords.
#[derive(Deserialize, ToSchema)]
#[schema(as = KeystoneUpdateUserPasswordRequest)]
struct PasswordRequest {
    user: Passwords,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = KeystoneUpdateUserPasswords)]
struct Passwords {
    original_password: String,
    password: String,
}

/// `GET /v3/users`
#[tracing::instrument(name = "api.identity.list_users", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let enabled: Option<bool> = query.value("enabled")?;
    let own = access.domain().to_string();
    let users = api.services.identity.users(&access).await?;
    let is_meant = |user: &User| {
        query.text("name").is_none_or(|name| user.name == name)
            && query.text("domain_id").is_none_or(|id| id == own)
            && enabled.is_none_or(|enabled| user.enabled == enabled)
    };
    Ok(Json(list_of(users.into_iter().filter(is_meant), &api.settings)))
}

/// `POST /v3/users`
#[tracing::instrument(name = "api.identity.create_user", skip_all)]
pub(super) async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.user.read(&access.domain().to_string())?;
    let user = api.services.identity.create_user(&access, wanted).await?;
    Ok(Json(Response { user: WireUser::of(&user, &api.settings) }))
}

/// `GET /v3/users/{user_id}`
#[tracing::instrument(name = "api.identity.show_user", skip_all, fields(user.id = %user))]
pub(super) async fn show(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
) -> Result<Json<Response>, ApiError> {
    let user = api.services.identity.user(&access, user).await?;
    Ok(Json(Response { user: WireUser::of(&user, &api.settings) }))
}

/// `PATCH /v3/users/{user_id}`
#[tracing::instrument(name = "api.identity.update_user", skip_all, fields(user.id = %user))]
pub(super) async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(user): PathId<UserInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Response>, ApiError> {
    let change = request.user.read();
    let user = api.services.identity.update_user(&access, user, change).await?;
    Ok(Json(Response { user: WireUser::of(&user, &api.settings) }))
}

/// `DELETE /v3/users/{user_id}`
#[tracing::instrument(name = "api.identity.delete_user", skip_all, fields(user.id = %user))]
async fn delete(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(user): PathId<UserInPath>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.delete_user(&access, user).await?)
}

/// `POST /v3/users/{user_id}/password`
#[tracing::instrument(name = "api.identity.change_password", skip_all, fields(user.id = %user))]
async fn change_password(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
    JsonBody(request): JsonBody<PasswordRequest>,
) -> Result<(), ApiError> {
    let Passwords { original_password, password } = request.user;
    let (original, new) = (Zeroizing::new(original_password), Zeroizing::new(password));
    Ok(api.services.identity.change_password(&access, user, original, new).await?)
}

/// `GET /v3/users/{user_id}/groups`
#[tracing::instrument(name = "api.identity.list_groups_of_user", skip_all, fields(user.id = %user))]
async fn groups(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
) -> Result<Json<super::groups::ListResponse>, ApiError> {
    let groups = api.services.identity.groups_of_user(&access, user).await?;
    let groups = groups.iter().map(|group| WireGroup::of(group, &api.settings)).collect();
    Ok(Json(groups_of(groups, &api.settings)))
}

/// `GET /v3/users/{user_id}/projects`
#[tracing::instrument(name = "api.identity.list_projects_of_user", skip_all, fields(user.id = %user))]
async fn projects(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
) -> Result<Json<super::projects::ListResponse>, ApiError> {
    let identity = &api.services.identity;
    identity.user(&access, user).await?;
    let caller = access.actor().caller();
    let projects = identity.projects(caller, None).await?;
    let said = identity.project_descriptions(caller).await?;
    let projects =
        projects.iter().map(|project| WireProject::of(project, &said, &api.settings)).collect();
    Ok(Json(super::projects::ListResponse {
        projects,
        links: SelfLink::to(&api.settings, &format!("/v3/users/{user}/projects")),
    }))
}

/// A list of users as it is answered.
pub(super) fn list_of(users: impl Iterator<Item = User>, settings: &Settings) -> ListResponse {
    let users = users.map(|user| WireUser::of(&user, settings)).collect();
    ListResponse { users, links: SelfLink::to(settings, USERS) }
}

impl WireUser {
    pub(super) fn of(user: &User, settings: &Settings) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            domain_id: user.domain.to_string(),
            enabled: user.enabled,
            description: user.description.clone(),
            email: user.email.clone(),
            password_expires_at: None,
            pwd_status: true,
            links: SelfLink::to(settings, &format!("/v3/users/{}", user.id)),
        }
    }
}

impl UserText {
    /// The user that is meant, in the account `own`.
    pub(super) fn read(self, own: &str) -> Result<NewUser, ApiError> {
        refuse_other_account(self.domain_id.as_deref(), own)?;
        Ok(NewUser {
            name: self.name,
            password: self.password.map(Zeroizing::new),
            enabled: self.enabled.unwrap_or(true),
            description: self.description.unwrap_or_default(),
            email: self.email.unwrap_or_default(),
        })
    }
}

impl UserPatch {
    pub(super) fn read(self) -> UserChange {
        UserChange {
            name: self.name,
            password: self.password.map(Zeroizing::new),
            enabled: self.enabled,
            description: self.description,
            email: self.email,
        }
    }
}

/// An account can be named, but only one's own.
pub(super) fn refuse_other_account(named: Option<&str>, own: &str) -> Result<(), ApiError> {
    match named {
        Some(id) if !id.is_empty() && id != own => {
            Err(ApiError::invalid("domain_id", "it is not the caller's account"))
        }
        _ => Ok(()),
    }
}
