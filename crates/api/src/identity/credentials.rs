//! Permanent access keys (contract F.1): one's own, or with permission anybody's.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::on;
use cbr_model::UserId;
use cbr_service::identity::KeyChange;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::own;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{JsonBody, OverOwn, id_of};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

const KEYS: &str = "/v3.0/OS-CREDENTIAL/credentials";
const KEY: &str = "/v3.0/OS-CREDENTIAL/credentials/{access_key}";
const ACTIVE: &str = "active";
const INACTIVE: &str = "inactive";

pub(crate) const LIST: Operation = own(
    "ListPermanentAccessKeys",
    (Verb::Get, KEYS),
    "Lists access keys.",
    "iam:credentials:listCredentials",
    |filter| on(filter, list),
)
.reads(&[parameter("user_id", Form::Text, "Of this user.")])
.gives(schema_of::<ListResponse>());

pub(crate) const CREATE: Operation = own(
    "CreatePermanentAccessKey",
    (Verb::Post, KEYS),
    "Makes an access key; its secret is told only here.",
    "iam:credentials:createCredential",
    |filter| on(filter, create),
)
.records("createAccessKey", "credential")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<Response>());

pub(crate) const SHOW: Operation = own(
    "ShowPermanentAccessKey",
    (Verb::Get, KEY),
    "Shows an access key without its secret, and when it was last used.",
    "iam:credentials:getCredential",
    |filter| on(filter, show),
)
.gives(schema_of::<Response>());

pub(crate) const UPDATE: Operation = own(
    "UpdatePermanentAccessKey",
    (Verb::Put, KEY),
    "Switches an access key on or off, or describes it.",
    "iam:credentials:updateCredential",
    |filter| on(filter, update),
)
.records("updateAccessKey", "credential")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<Response>());

pub(crate) const DELETE: Operation = own(
    "DeletePermanentAccessKey",
    (Verb::Delete, KEY),
    "Removes an access key.",
    "iam:credentials:deleteCredential",
    |filter| on(filter, delete),
)
.records("deleteAccessKey", "credential")
.succeeds_with(204);

/// Body of an answer. Not `Debug`: it may hold a secret.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessKeyResponse)]
struct Response {
    credential: WireKey,
}

/// Body of an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ListAccessKeysResponse)]
struct ListResponse {
    credentials: Vec<WireKey>,
}

/// An access key.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessKey)]
struct WireKey {
    access: String,
    /// Only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// `active` or `inactive`.
    status: &'static str,
    user_id: String,
    description: String,
    create_time: String,
    /// To within ten minutes; null: never.
    last_use_time: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAccessKeyRequest)]
struct CreateRequest {
    credential: Wanted,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WantedAccessKey)]
struct Wanted {
    /// Whose; otherwise the caller's.
    user_id: Option<String>,
    description: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAccessKeyRequest)]
struct UpdateRequest {
    credential: Change,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AccessKeyChange)]
struct Change {
    /// `active` or `inactive`.
    status: Option<String>,
    description: Option<String>,
}

/// `GET /v3.0/OS-CREDENTIAL/credentials`
#[tracing::instrument(name = "api.identity.list_keys", skip_all)]
async fn list(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let user = query.text("user_id").map(user).transpose()?;
    let keys = api.services.identity.keys(&access, user).await?;
    Ok(Json(ListResponse { credentials: keys.into_iter().map(WireKey::of).collect() }))
}

/// `POST /v3.0/OS-CREDENTIAL/credentials`
#[tracing::instrument(name = "api.identity.create_key", skip_all)]
async fn create(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<Response>, ApiError> {
    let Wanted { user_id, description } = request.credential;
    let user = match user_id.as_deref() {
        Some(id) if !id.is_empty() => user(id)?,
        _ => access.actor().caller().user.id,
    };
    let description = description.unwrap_or_default();
    let made = api.services.identity.create_key(&access, user, description).await?;
    let credential =
        WireKey { secret: Some(made.secret.as_str().to_owned()), ..WireKey::of(made.key) };
    Ok(Json(Response { credential }))
}

/// `GET /v3.0/OS-CREDENTIAL/credentials/{access_key}`
#[tracing::instrument(name = "api.identity.show_key", skip_all)]
async fn show(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    Path(key): Path<String>,
) -> Result<Json<Response>, ApiError> {
    let key = api.services.identity.key(&access, &key).await?;
    Ok(Json(Response { credential: WireKey::of(key) }))
}

/// `PUT /v3.0/OS-CREDENTIAL/credentials/{access_key}`
#[tracing::instrument(name = "api.identity.update_key", skip_all)]
async fn update(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    Path(key): Path<String>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Response>, ApiError> {
    let change = request.credential.read()?;
    let key = api.services.identity.update_key(&access, &key, change).await?;
    Ok(Json(Response { credential: WireKey::of(key) }))
}

/// `DELETE /v3.0/OS-CREDENTIAL/credentials/{access_key}`
#[tracing::instrument(name = "api.identity.delete_key", skip_all)]
async fn delete(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    Path(key): Path<String>,
) -> Result<(), ApiError> {
    Ok(api.services.identity.delete_key(&access, &key).await?)
}

/// The user a body or query names.
pub(super) fn user(id: &str) -> Result<UserId, ApiError> {
    id_of(id, ErrorCode::IdentityNotFound)
}

impl Change {
    fn read(self) -> Result<KeyChange, ApiError> {
        let enabled = match self.status.as_deref() {
            None => None,
            Some(ACTIVE) => Some(true),
            Some(INACTIVE) => Some(false),
            Some(_) => return Err(ApiError::invalid("status", "it is active or inactive")),
        };
        Ok(KeyChange { enabled, description: self.description })
    }
}

impl WireKey {
    fn of(key: cbr_service::identity::AccessKey) -> Self {
        Self {
            access: key.ak,
            secret: None,
            status: if key.enabled { ACTIVE } else { INACTIVE },
            user_id: key.user.to_string(),
            description: key.description,
            create_time: time::format_zulu(key.created_at),
            last_use_time: key.last_used_at.map(time::format_zulu),
        }
    }
}
