//! `ShowBackup` (contract C28).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::shown::shown_one;
use super::wire::Backup;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, Extensions, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowBackup",
    verb: Verb::Get,
    path: "/v3/{project_id}/backups/{backup_id}",
    group: "Backups",
    summary: "Shows a backup with its disks.",
    admission: Admission::Project,
    action: Some("cbr:backups:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowBackupResponse)]
pub(super) struct Response {
    pub(super) backup: Backup,
}

/// `GET /v3/{project_id}/backups/{backup_id}`
#[tracing::instrument(name = "api.backups.show", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    extensions: Extensions,
    PathId(backup): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let backup = api.services.backups.show(&access, backup).await?;
    let backup = shown_one(&api, &access, extensions, backup).await?;
    Ok(Json(Response { backup }))
}
