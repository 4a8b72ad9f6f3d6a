//! What a backup costs, and what deleting it would free (extension).
//!
//! Logical sizes are what the guide shows and counts against the vault; stored
//! sizes are compressed, deduplicated and sealed.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::backup::{Backup, Content};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowBackupSizes",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/backups/{backup_id}/sizes",
    group: "Extensions",
    summary: "Shows what a backup costs and what deleting it would free.",
    admission: Admission::Project,
    action: Some("cbr:backups:get"),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowBackupSizesResponse)]
struct Response {
    sizes: BackupSizes,
}

/// What a backup costs; a server backup's numbers are the sums of its disks. Zero while it is being made.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct BackupSizes {
    backup_id: String,
    /// Size of the backed-up disks.
    disk_bytes: u64,
    /// First backup: used blocks; later: changed blocks.
    logical_bytes: u64,
    /// What it added to the store, compressed and sealed.
    stored_bytes: u64,
    deletion: DeletionSizes,
}

/// What deleting the backup would free.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct DeletionSizes {
    /// In the store: what no other backup needs.
    stored_bytes: u64,
    /// Of the vault's used capacity.
    logical_bytes: u64,
}

/// `GET /v3/{project_id}/x/backups/{backup_id}/sizes`
#[tracing::instrument(name = "api.x.backup_sizes", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let backup = api.services.backups.show(&access, id).await?;
    let preview = api.services.backups.preview_delete(&access, id).await?;
    let disks = || std::iter::once(&backup).chain(&backup.children);
    let sum = |of: fn(&cbr_model::backup::StoredVersion) -> u64| {
        disks().filter_map(stored).map(of).fold(0_u64, u64::saturating_add)
    };
    let sizes = BackupSizes {
        backup_id: id.to_string(),
        disk_bytes: sum(|version| version.disk_bytes.0),
        logical_bytes: sum(|version| version.logical_bytes.0),
        stored_bytes: sum(|version| version.added_bytes.0),
        deletion: DeletionSizes {
            stored_bytes: preview.stored_bytes,
            logical_bytes: preview.logical_bytes,
        },
    };
    Ok(Json(Response { sizes }))
}

fn stored(backup: &Backup) -> Option<&cbr_model::backup::StoredVersion> {
    match backup.state.content() {
        Some(Content::Disk(version)) => Some(version),
        Some(Content::Server) | None => None,
    }
}
