//! `UpdateExpirationTime` (contract C16).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::vaults::ExpirationDay;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateExpirationTime",
    verb: Verb::Put,
    path: "/v3/{project_id}/vaults/{vault_id}/update-backup-expiration-time",
    group: "Vaults",
    summary: "Has the backups of a vault that are kept until a time kept until another day.",
    admission: Admission::Project,
    action: Some("cbr:vaults:update"),
    event: Some(Event::new("updateExpirationTime", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateExpirationTimeRequest)]
struct Request {
    /// `YYYY-MM-DD`: the last day.
    expect_expiration_date: String,
    /// `UTC+08:00`: where that day is.
    time_zone: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdateExpirationTimeResponse)]
struct Response {
    affected_backups_count: u64,
    new_expiration_day: String,
    operation_log_id: String,
}

/// `PUT /v3/{project_id}/vaults/{vault_id}/update-backup-expiration-time`
#[tracing::instrument(name = "api.vaults.update_expiration", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let Request { expect_expiration_date: day, time_zone } = request;
    let zone = time::zone_seconds(&time_zone)
        .ok_or_else(|| ApiError::invalid("time_zone", "write zones as UTC+08:00"))?;
    let end = time::end_of_day(&day, zone)
        .ok_or_else(|| ApiError::invalid("expect_expiration_date", "write days as 2026-12-31"))?;
    let until = ExpirationDay { day: day.clone(), end };
    let changed = api.services.vaults.set_expiration(&access, vault, until).await?;
    Ok(Json(Response {
        affected_backups_count: changed.backups,
        new_expiration_day: day,
        operation_log_id: changed.log.to_string(),
    }))
}
