//! Confirms that a backup is as it should be, or was dealt with (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Anomaly;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ConfirmAnomaly",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/anomalies/{backup_id}/confirm",
    group: "Extensions",
    summary: "Confirms a suspicious backup: those of its resource expire again.",
    admission: Admission::Project,
    action: Some("cbr:backups:update"),
    event: Some(Event::new("confirmAnomaly", "backup")),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfirmAnomalyResponse)]
struct Response {
    anomaly: Anomaly,
}

/// `POST /v3/{project_id}/x/anomalies/{backup_id}/confirm`
#[tracing::instrument(name = "api.x.anomalies.confirm", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let anomaly = api.services.anomalies.confirm(&access, id).await?;
    Ok(Json(Response { anomaly: Anomaly::from(anomaly) }))
}
