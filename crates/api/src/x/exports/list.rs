//! Lists the exports of a backup (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;

use super::wire::Many;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListBackupExports",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/backups/{backup_id}/exports",
    group: "Extensions",
    summary: "Lists the exports of a backup.",
    admission: Admission::Project,
    action: Some("cbr:backups:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Many>()),
    mount: |filter| on(filter, handle),
};

/// `GET /v3/{project_id}/x/backups/{backup_id}/exports`
#[tracing::instrument(name = "api.x.exports.list", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
) -> Result<Json<Many>, ApiError> {
    Ok(Json(api.services.exports.list(&access, Some(backup)).await?.into()))
}
