//! `MigrateDomain` (contract C70).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "MigrateDomain",
    verb: Verb::Post,
    path: "/v3/migrates",
    group: "Domains",
    summary: "Asks for the account to be migrated from the predecessor services. There are none here, so nothing is \
              moved, and it is over at once.",
    admission: Admission::Account,
    action: Some("cbr:domains:migrate"),
    event: Some(Event::new("migrateDomain", "domain")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MigrateDomainRequest)]
struct Request {
    /// There is one region; kept as it was asked.
    all_regions: bool,
    /// Spare capacity, as a part of 1. Kept; nothing is moved that would need any.
    reservation: f64,
}

/// The contract's word for each region.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MigrateDomainResponse)]
struct Response(BTreeMap<String, String>);

/// `POST /v3/migrates`
#[tracing::instrument(name = "api.migrates.start", skip_all)]
async fn handle(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if !(0.0..=1.0).contains(&request.reservation) {
        return Err(ApiError::invalid("reservation", "0 to 1"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1 000 000, as was just looked at"
    )]
    let millionths = (request.reservation * 1e6).round() as u32;
    let identity = &api.services.identity;
    identity.ask_for_migration(&access, request.all_regions, millionths).await?;
    let region = api.settings.region.clone();
    Ok(Json(Response(BTreeMap::from([(region, "running".to_owned())]))))
}
