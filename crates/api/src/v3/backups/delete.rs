//! `DeleteBackup` (contract C30).

use axum::extract::State;
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteBackup",
    verb: Verb::Delete,
    path: "/v3/{project_id}/backups/{backup_id}",
    group: "Backups",
    summary: "Deletes a backup with its disks; a task does it. Other backups stay restorable.",
    admission: Admission::Project,
    action: Some("cbr:backups:delete"),
    event: Some(Event::new("deleteBackup", "backup")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/backups/{backup_id}`
#[tracing::instrument(name = "api.backups.delete", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
) -> Result<(), ApiError> {
    api.services.backups.delete(&access, backup).await?;
    Ok(())
}
