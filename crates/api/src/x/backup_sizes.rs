//! What a backup costs, and what deleting it would free (extension).
//!
//! Logical sizes are what the guide shows and counts against the vault; stored
//! sizes are compressed, deduplicated and sealed.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::BackupId;
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
    event: None,
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
pub(super) struct BackupSizes {
    backup_id: String,
    /// Size of the backed-up disks.
    disk_bytes: u64,
    /// Blocks in use when it was made.
    used_bytes: u64,
    /// First backup: used blocks; later: changed blocks.
    logical_bytes: u64,
    /// Blocks that differ from the backup before; of a first one, all that were in use.
    changed_bytes: u64,
    /// What it added to the store, compressed and sealed.
    stored_bytes: u64,
    /// What of the store only this backup needs now.
    unique_bytes: u64,
    /// What of the store this backup and others need now.
    shared_bytes: u64,
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

impl From<(BackupId, cbr_service::backups::BackupSizes)> for BackupSizes {
    fn from((id, sizes): (BackupId, cbr_service::backups::BackupSizes)) -> Self {
        Self {
            backup_id: id.to_string(),
            disk_bytes: sizes.disk_bytes,
            used_bytes: sizes.used_bytes,
            logical_bytes: sizes.logical_bytes,
            changed_bytes: sizes.changed_bytes,
            stored_bytes: sizes.stored_bytes,
            unique_bytes: sizes.unique_bytes,
            shared_bytes: sizes.shared_bytes,
            deletion: DeletionSizes {
                stored_bytes: sizes.unique_bytes,
                logical_bytes: sizes.logical_bytes,
            },
        }
    }
}

/// `GET /v3/{project_id}/x/backups/{backup_id}/sizes`
#[tracing::instrument(name = "api.x.backup_sizes", skip_all, fields(backup.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<BackupInPath>,
) -> Result<Json<Response>, ApiError> {
    let answer = api.services.backups.what_if(&access, &[id].into()).await?;
    let sizes = answer.backups.into_iter().next().map(BackupSizes::from);
    sizes.map(|sizes| Json(Response { sizes })).ok_or_else(ApiError::unknown)
}
