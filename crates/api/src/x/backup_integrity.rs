//! Whether a backup can be restored, as far as anybody looked (extension, P35).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::integrity::Integrity;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowBackupIntegrity",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/backups/{backup_id}/integrity",
    group: "Extensions",
    summary: "Shows whether a backup can be restored, and when that was last verified.",
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
#[schema(as = ShowBackupIntegrityResponse)]
struct Response {
    integrity: BackupIntegrity,
}

/// What is known of a backup; of a server backup, what its disks have in common.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct BackupIntegrity {
    backup_id: String,
    /// `ok`, `damaged` or `unknown`: nobody has looked yet.
    state: &'static str,
    /// When every byte of it was last read and found right.
    verified_at: Option<String>,
    /// Of a disk's backup: what cannot be restored.
    lost_ranges: Vec<LostRange>,
}

/// Bytes of the disk, from `start` up to but not including `end`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct LostRange {
    start: u64,
    end: u64,
}

/// `GET /v3/{project_id}/x/backups/{backup_id}/integrity`
#[tracing::instrument(name = "api.x.backup_integrity", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let Integrity { state, verified_at, lost } =
        api.services.verification.integrity(&access, id).await?;
    let integrity = BackupIntegrity {
        backup_id: id.to_string(),
        state: state.as_str(),
        verified_at: verified_at.map(time::format),
        lost_ranges: lost.into_iter().map(|(start, end)| LostRange { start, end }).collect(),
    };
    Ok(Json(Response { integrity }))
}
