//! Why a backup is still here, and when it goes (extension; TRB-14).

use axum::Json;
use axum::extract::State;
use axum::routing::on;

use super::wire::Response;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowBackupRetention",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/backups/{backup_id}/retention",
    group: "Extensions",
    summary: "Says why a backup is still here, and when it goes.",
    admission: Admission::Project,
    action: Some("cbr:backups:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// `GET /v3/{project_id}/x/backups/{backup_id}/retention`
#[tracing::instrument(name = "api.x.backup_retention.show", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let after = api.services.expiry.why(&access, id).await?;
    Ok(Json(Response::from(after)))
}
