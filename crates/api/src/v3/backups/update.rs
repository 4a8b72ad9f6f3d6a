//! `UpdateBackup` (contract C29): renames it.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use super::shown::shown_one;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, Extensions, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateBackup",
    verb: Verb::Put,
    path: "/v3/{project_id}/backups/{backup_id}",
    group: "Backups",
    summary: "Renames a backup.",
    admission: Admission::Project,
    action: Some("cbr:backups:update"),
    event: Some(Event::new("updateBackup", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateBackupRequest)]
struct Request {
    backup: BackupUpdate,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
struct BackupUpdate {
    name: String,
}

/// `PUT /v3/{project_id}/backups/{backup_id}`
#[tracing::instrument(name = "api.backups.update", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    extensions: Extensions,
    PathId(backup): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let backup = api.services.backups.rename(&access, backup, request.backup.name).await?;
    let backup = shown_one(&api, &access, extensions, backup).await?;
    Ok(Json(Response { backup }))
}
