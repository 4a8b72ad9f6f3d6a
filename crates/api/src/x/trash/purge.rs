//! Gives a deleted backup up for good (extension).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;

use super::wire::Started;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "PurgeBackup",
    verb: Verb::Delete,
    path: "/v3/{project_id}/x/trash/{backup_id}",
    group: "Extensions",
    summary: "Gives a deleted backup up for good, now; a task does it, and frees what only it needed.",
    admission: Admission::Project,
    action: Some("cbr:backups:purge"),
    event: Some(Event::new("purgeBackup", "backup")),
    success: 202,
    query: &[],
    request: None,
    response: Some(schema_of::<Started>()),
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/x/trash/{backup_id}`
#[tracing::instrument(name = "api.x.trash.purge", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let job_id = api.services.trash.purge(&access, id).await?.to_string();
    Ok((StatusCode::ACCEPTED, Json(Started { job_id })))
}
