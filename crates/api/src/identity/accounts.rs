//! Making accounts, for who runs the installation (ours: the public cloud has no such call).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::Domain;
use cbr_service::identity::FirstAccount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::row::account;
use super::wire::WireDomain;
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount};
use crate::operation::{Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const CREATE: Operation = account(
    "CreateAccount",
    (Verb::Post, "/v3/domains"),
    "Makes an account with a project and an administrator; only for who runs the installation.",
    "iam:domains:createDomain",
    |filter| on(filter, create),
)
.records("createAccount", "account")
.succeeds_with(201)
.takes(schema_of::<Request>())
.gives(schema_of::<Response>());

/// Body of the request. Not `Debug`: it may hold a secret.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateAccountRequest)]
struct Request {
    domain: Wanted,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = WantedAccount)]
struct Wanted {
    name: String,
    /// Otherwise the region's.
    project_name: Option<String>,
    /// Otherwise `admin`.
    user_name: Option<String>,
    /// Otherwise a random one, which only the answer tells. Chosen, it is known also when the answer
    /// is lost: then the administrator logs in with it and makes new access keys.
    password: Option<String>,
}

/// Body of the answer. Not `Debug`: it holds secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateAccountResponse)]
struct Response {
    domain: WireDomain,
    administrator: Administrator,
}

/// Told only here.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAdministrator)]
struct Administrator {
    user_id: String,
    user_name: String,
    password: String,
    access_key: String,
    secret_key: String,
    project_id: String,
    project_name: String,
}

/// `POST /v3/domains`
#[tracing::instrument(name = "api.identity.create_account", skip_all)]
async fn create(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let Wanted { name, project_name, user_name, password } = request.domain;
    let password = password.map(Zeroizing::new);
    let wanted = FirstAccount {
        domain_name: name,
        project_name: project_name.unwrap_or_else(|| api.settings.region.clone()),
        user_name: user_name.unwrap_or_else(|| "admin".to_owned()),
    };
    let made = api.services.identity.create_account(&access, wanted.clone(), password).await?;
    let domain = Domain { id: made.domain, name: wanted.domain_name };
    Ok(Json(Response {
        domain: WireDomain::of(&domain, &api.settings),
        administrator: Administrator {
            user_id: made.user.to_string(),
            user_name: wanted.user_name,
            password: made.password.as_str().to_owned(),
            access_key: made.access_key.clone(),
            secret_key: made.secret_key.as_str().to_owned(),
            project_id: made.project.to_string(),
            project_name: wanted.project_name,
        },
    }))
}
