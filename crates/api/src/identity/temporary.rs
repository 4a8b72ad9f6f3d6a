//! Temporary access keys with their security token (contract F.1).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::identity::TemporaryWish;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::login::AgencyPart;
use super::roles::document;
use super::row::own;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{JsonBody, OverOwn};
use crate::operation::{Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

/// How long a temporary key is good when nothing is said, in seconds.
const DEFAULT_SECONDS: i64 = 900;

pub(crate) const CREATE: Operation = Operation {
    event: Some(Event::new("createTemporaryAccessKey", "credential")),
    ..own(
        "CreateTemporaryAccessKeyByToken",
        (Verb::Post, "/v3.0/OS-CREDENTIAL/securitytokens"),
        "Makes an access key that ends by itself, for oneself or through an agency.",
        "iam:credentials:createCredential",
        |filter| on(filter, create),
    )
    .succeeds_with(201)
    .takes(schema_of::<Request>())
    .gives(schema_of::<Response>())
};

/// Body of the request. Not `Debug`: it may hold a token.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTemporaryAccessKeyRequest)]
struct Request {
    auth: Auth,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = TemporaryAccessKeyAuth)]
struct Auth {
    identity: IdentityPart,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = TemporaryAccessKeyIdentity)]
struct IdentityPart {
    /// `token` or `assume_role`.
    methods: Vec<String>,
    token: Option<TokenPart>,
    assume_role: Option<AgencyPart>,
    /// May do no more than this.
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = TemporaryAccessKeyToken)]
struct TokenPart {
    /// A token of the caller; otherwise the credential of the request is used.
    id: Option<String>,
    /// 900 to 86400.
    duration_seconds: Option<i64>,
}

/// Body of the answer. Not `Debug`: it holds secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateTemporaryAccessKeyResponse)]
struct Response {
    credential: Credential,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TemporaryAccessKey)]
struct Credential {
    access: String,
    secret: String,
    /// For the header X-Security-Token of every request.
    securitytoken: String,
    expires_at: String,
}

/// `POST /v3.0/OS-CREDENTIAL/securitytokens`
#[tracing::instrument(name = "api.identity.create_temporary_key", skip_all)]
async fn create(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let identity = &api.services.identity;
    let (wish, token) = request.auth.identity.read()?;
    let (mut caller, asked) = access.into_parts();
    if let Some(token) = token {
        let own = caller.user.id;
        caller = identity.verify_token(&token).await.map(|token| token.caller)?;
        if caller.user.id != own {
            let message = "The token is another user's.";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
    }
    let made = identity.create_temporary_key(caller, wish, asked).await?;
    Ok(Json(Response {
        credential: Credential {
            access: made.ak,
            secret: made.secret.as_str().to_owned(),
            securitytoken: made.security_token.as_str().to_owned(),
            expires_at: time::format_zulu(made.expires_at),
        },
    }))
}

impl IdentityPart {
    /// What is wished, and the token that is to be used for it, if one is named.
    fn read(self) -> Result<(TemporaryWish, Option<zeroize::Zeroizing<String>>), ApiError> {
        let methods: Vec<&str> = self.methods.iter().map(String::as_str).collect();
        let document = self.policy.as_ref().map(document).transpose()?;
        match (methods.as_slice(), self.token, self.assume_role) {
            (["token"], token, None) => {
                let (id, seconds) = token.map_or((None, None), |t| (t.id, t.duration_seconds));
                let seconds = seconds.unwrap_or(DEFAULT_SECONDS);
                let token = id.filter(|id| !id.is_empty()).map(zeroize::Zeroizing::new);
                Ok((TemporaryWish { agency: None, seconds, document }, token))
            }
            (["assume_role"], None, Some(agency)) => {
                let seconds = agency.duration_seconds.unwrap_or(DEFAULT_SECONDS);
                let agency = Some(agency.read()?);
                Ok((TemporaryWish { agency, seconds, document }, None))
            }
            _ => Err(ApiError::invalid(
                "auth.identity.methods",
                "token, or assume_role with its part",
            )),
        }
    }
}
