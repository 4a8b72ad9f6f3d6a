//! Reads a backup to see whether it can be restored (extension, P35).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "VerifyBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/backups/{backup_id}/verify",
    group: "Extensions",
    summary: "Reads everything a restore of a backup would read; a task does it.",
    admission: Admission::Project,
    action: Some("cbr:backups:verify"),
    event: Some(Event::new("verifyBackup", "backup")),
    success: 202,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyBackupResponse)]
struct Response {
    /// The operation log to follow.
    job_id: String,
}

/// `POST /v3/{project_id}/x/backups/{backup_id}/verify`
#[tracing::instrument(name = "api.x.verify_backup", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let job_id = api.services.verification.verify(&access, id).await?.to_string();
    Ok(Json(Response { job_id }))
}
