//! Users, by the paths that are not Keystone's (`/v3.0/OS-USER`).

use axum::routing::on;

use super::row::{account, own};
use super::users::{CreateRequest, Response, UpdateRequest, create, show, update};
use crate::operation::{Operation, Verb, schema_of};

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
