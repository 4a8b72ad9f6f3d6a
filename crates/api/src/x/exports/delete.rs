//! Ends an export (extension).

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, ExportInPath, PathId};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteBackupExport",
    verb: Verb::Delete,
    path: "/v3/{project_id}/x/backups/{backup_id}/exports/{export_id}",
    group: "Extensions",
    summary: "Ends an export and removes what was written to it. The backup is as it was.",
    admission: Admission::Project,
    action: Some("cbr:backups:export"),
    event: Some(Event::new("deleteBackupExport", "backup")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/x/backups/{backup_id}/exports/{export_id}`
#[tracing::instrument(name = "api.x.exports.delete", skip_all, fields(export.id = %export))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    PathId(export): PathId<ExportInPath>,
) -> Result<StatusCode, ApiError> {
    api.services.exports.delete(&access, backup, export).await?;
    Ok(StatusCode::NO_CONTENT)
}
