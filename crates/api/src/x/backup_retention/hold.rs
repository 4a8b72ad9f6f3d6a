//! Keeps a backup whatever its policy says (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::Response;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "HoldBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/backups/{backup_id}/hold",
    group: "Extensions",
    summary: "Keeps a backup whatever its policy says.",
    admission: Admission::Project,
    action: Some("cbr:backups:update"),
    event: Some(Event::new("holdBackup", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request; may be empty: `{}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = HoldBackupRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Why, on one line; at most 255 characters.
    #[serde(default)]
    note: String,
}

/// `POST /v3/{project_id}/x/backups/{backup_id}/hold`
#[tracing::instrument(name = "api.x.backup_retention.hold", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let after = api.services.expiry.hold(&access, id, request.note).await?;
    Ok(Json(Response::from(after)))
}
