//! Users, by the paths that are not Keystone's (`/v3.0/OS-USER`).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Deserialize;
use utoipa::ToSchema;

use super::row::{account, own};
use super::users::{Response, UserPatch, UserText, WireUser, show};
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount, PathId, UserInPath};
use crate::operation::{Operation, Verb, schema_of};
use crate::state::Api;

const USER: &str = "/v3.0/OS-USER/users/{user_id}";

pub(crate) const CREATE: Operation = account(
    "CreateUser",
    (Verb::Post, "/v3.0/OS-USER/users"),
    "Makes a user, who may do nothing yet.",
    "iam:users:createUser",
    |filter| on(filter, create),
)
.records("createUser", "user")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<Response>());

pub(crate) const SHOW: Operation =
    own("ShowUser", (Verb::Get, USER), "Shows a user.", "iam:users:getUser", |filter| {
        on(filter, show)
    })
    .gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = account(
    "UpdateUser",
    (Verb::Put, USER),
    "Changes what the body names. A new password, or being barred, ends the user's tokens.",
    "iam:users:updateUser",
    |filter| on(filter, update),
)
.records("updateUser", "user")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<Response>());

/// Body of a request. Not `Debug`: it holds a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateUserRequest)]
struct CreateRequest {
    user: UserText,
}

/// Body of a request. Not `Debug`: it may hold a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = UpdateUserRequest)]
struct UpdateRequest {
    user: UserPatch,
}

/// `POST /v3.0/OS-USER/users`
#[tracing::instrument(name = "api.identity.create_os_user", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.user.read(&access.domain().to_string())?;
    let user = api.services.identity.create_user(&access, wanted).await?;
    Ok(Json(Response { user: WireUser::of(&user, &api.settings) }))
}

/// `PUT /v3.0/OS-USER/users/{user_id}`
#[tracing::instrument(name = "api.identity.update_os_user", skip_all, fields(user.id = %user))]
async fn update(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    PathId(user): PathId<UserInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Response>, ApiError> {
    let change = request.user.read();
    let user = api.services.identity.update_user(&access, user, change).await?;
    Ok(Json(Response { user: WireUser::of(&user, &api.settings) }))
}
