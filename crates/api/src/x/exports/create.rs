//! Gives a backup out as a disk (extension).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::One;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateBackupExport",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/backups/{backup_id}/exports",
    group: "Extensions",
    summary: "Gives the backup of a disk out over NBD, at once and whatever its size.",
    admission: Admission::Project,
    action: Some("cbr:backups:export"),
    event: Some(Event::new("createBackupExport", "backup")),
    success: 201,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<One>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateBackupExportRequest)]
struct Request {
    export: Wanted,
}

/// The export that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewBackupExport)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Keep what is written, until the export is deleted. The backup never changes.
    #[serde(default)]
    writable: bool,
}

/// `POST /v3/{project_id}/x/backups/{backup_id}/exports`
#[tracing::instrument(name = "api.x.exports.create", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<(StatusCode, Json<One>), ApiError> {
    let writable = request.export.writable;
    let export = api.services.exports.create(&access, backup, writable).await?.into();
    Ok((StatusCode::CREATED, Json(One { export })))
}
