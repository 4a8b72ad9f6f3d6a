//! Takes a deleted backup back (extension).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::Started;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, BackupInPath, JsonBody, PathId, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UndeleteBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/trash/{backup_id}/undelete",
    group: "Extensions",
    summary: "Takes a deleted backup back, with its disks; a task does it.",
    admission: Admission::Project,
    action: Some("cbr:backups:undelete"),
    event: Some(Event::new("undeleteBackup", "backup")),
    success: 202,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Started>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request; may be empty: `{}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UndeleteBackupRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The vault it comes back into; without it, the one it was in.
    #[serde(default)]
    vault_id: Option<String>,
}

/// `POST /v3/{project_id}/x/trash/{backup_id}/undelete`
#[tracing::instrument(name = "api.x.trash.undelete", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let vault = request.vault_id.map(|id| id_of(&id, ErrorCode::VaultNotFound)).transpose()?;
    let job_id = api.services.trash.undelete(&access, id, vault).await?.to_string();
    Ok((StatusCode::ACCEPTED, Json(Started { job_id })))
}
