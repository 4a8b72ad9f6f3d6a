//! Leaves a backup that was held to its policy again (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use super::wire::Response;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ReleaseBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/backups/{backup_id}/release",
    group: "Extensions",
    summary: "Leaves a backup to its policy again.",
    admission: Admission::Project,
    action: Some("cbr:backups:update"),
    event: Some(Event::new("releaseBackup", "backup")),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/x/backups/{backup_id}/release`
#[tracing::instrument(name = "api.x.backup_retention.release", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let after = api.services.expiry.release(&access, id).await?;
    Ok(Json(Response::from(after)))
}
