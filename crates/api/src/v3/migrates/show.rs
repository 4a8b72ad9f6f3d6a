//! `ShowMigrateStatus` (contract C71).

use std::convert::Infallible;

use axum::routing::on;

use crate::error::{ApiError, ErrorCode};
use crate::extract::Authenticated;
use crate::operation::{Admission, Form, Operation, Verb, parameter};
use crate::query::Query;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMigrateStatus",
    verb: Verb::Get,
    path: "/v3/migrates",
    group: "Domains",
    summary: "Shows the migration from the predecessor services; there never was one.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[parameter("all_regions", Form::Flag, "In all regions; default true.")],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `GET /v3/migrates`
#[tracing::instrument(name = "api.migrates.show", skip_all)]
async fn handle(Authenticated(_): Authenticated, query: Query) -> Result<Infallible, ApiError> {
    let _: Option<bool> = query.value("all_regions")?;
    let message = "No resources of a predecessor service were ever migrated here.";
    Err(ApiError::new(ErrorCode::MigrationNotFound, message))
}
