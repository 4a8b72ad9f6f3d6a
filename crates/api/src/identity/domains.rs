//! The account of a caller (contract F.1).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{SelfLink, WireDomain};
use crate::error::ApiError;
use crate::extract::Authenticated;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListAuthDomains",
    verb: Verb::Get,
    path: "/v3/auth/domains",
    group: "Identity",
    summary: "Shows the account of the caller.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAuthDomainsResponse)]
struct Response {
    domains: [WireDomain; 1],
    links: SelfLink,
}

/// `GET /v3/auth/domains`
#[tracing::instrument(name = "api.identity.domains", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Response>, ApiError> {
    let links = SelfLink::to(&api.settings, "/v3/auth/domains");
    Ok(Json(Response { domains: [WireDomain::of(&caller.domain, &api.settings)], links }))
}
