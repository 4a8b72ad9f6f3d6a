//! Looking at and revoking tokens (contract F.1).

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::identity::Caller;
use cbr_service::Error;
use cbr_service::identity::VerifiedToken;

use super::login::Response;
use super::wire::Token;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Asked, Authenticated};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const SHOW: Operation = Operation {
    name: "ShowToken",
    verb: Verb::Get,
    path: "/v3/auth/tokens",
    group: "Identity",
    summary: "Shows what the token in X-Subject-Token stands for.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[parameter("nocatalog", Form::Text, "When present, the answer has no catalogue.")],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, show),
};

pub(crate) const REVOKE: Operation = Operation {
    name: "RevokeToken",
    verb: Verb::Delete,
    path: "/v3/auth/tokens",
    group: "Identity",
    summary: "Makes the token in X-Subject-Token useless.",
    admission: Admission::Caller,
    action: None,
    event: Some(Event::new("revokeToken", "user")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, revoke),
};

/// `GET /v3/auth/tokens`
#[tracing::instrument(name = "api.identity.show_token", skip_all)]
async fn show(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let (_, token) = subject(&api, &caller, &headers).await?;
    let has_catalog = !query.has("nocatalog");
    let token =
        Token::of((&token.caller, &token.methods), token.issued_at, &api.settings, has_catalog);
    Ok(Json(Response { token }))
}

/// `DELETE /v3/auth/tokens`
#[tracing::instrument(name = "api.identity.revoke_token", skip_all)]
async fn revoke(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Asked(request): Asked,
    headers: HeaderMap,
) -> Result<(), ApiError> {
    let (secret, token) = subject(&api, &caller, &headers).await?;
    let user = &token.caller.user;
    api.services.identity.revoke_token((caller, request), user, secret).await?;
    Ok(())
}

/// The token that is meant: one's own, or for an administrator one of the same account.
async fn subject<'a>(
    api: &Api,
    caller: &Caller,
    headers: &'a HeaderMap,
) -> Result<(&'a str, VerifiedToken), ApiError> {
    let secret = headers
        .get("x-subject-token")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| ApiError::invalid("X-Subject-Token", "the header is needed"))?;
    let absent = || ApiError::new(ErrorCode::TokenNotFound, "The token does not exist.");
    let token = api.services.identity.verify_token(secret).await.map_err(|error| match error {
        Error::CredentialRefused => absent(),
        other => other.into(),
    })?;
    let is_own = token.caller.user.id == caller.user.id;
    let is_administered = caller.is_administrator() && token.caller.domain.id == caller.domain.id;
    if is_own || is_administered { Ok((secret, token)) } else { Err(absent()) }
}
