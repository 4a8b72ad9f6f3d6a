//! `MigrateDomain` (contract C70).

use std::convert::Infallible;

use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authenticated, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};

pub(crate) const OPERATION: Operation = Operation {
    name: "MigrateDomain",
    verb: Verb::Post,
    path: "/v3/migrates",
    group: "Domains",
    summary: "Would migrate from the predecessor services; refused, because there are none.",
    admission: Admission::Caller,
    action: None,
    event: Some(Event::new("migrateDomain", "domain")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MigrateDomainRequest)]
struct Request {
    #[serde(rename = "all_regions")]
    _all_regions: bool,
    /// Spare capacity, as a part of 1.
    reservation: f64,
}

/// `POST /v3/migrates`
#[tracing::instrument(name = "api.migrates.start", skip_all)]
async fn handle(
    Authenticated(_): Authenticated,
    JsonBody(request): JsonBody<Request>,
) -> Result<Infallible, ApiError> {
    if !(0.0..=1.0).contains(&request.reservation) {
        return Err(ApiError::invalid("reservation", "0 to 1"));
    }
    let message = "There is nothing to migrate: this installation has no predecessor service \
                   (CSBS or VBS).";
    Err(ApiError::new(ErrorCode::MigrationNotFound, message))
}
