//! `ShowCheckpoint` (contract C24): absent once its last backup is gone.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Checkpoint;
use crate::error::ApiError;
use crate::extract::{Authorised, CheckpointInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowCheckpoint",
    verb: Verb::Get,
    path: "/v3/{project_id}/checkpoints/{checkpoint_id}",
    group: "Restore points",
    summary: "Shows a restore point.",
    admission: Admission::Project,
    action: Some("cbr:vaults:showCheckpoint"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowCheckpointResponse)]
pub(super) struct Response {
    pub(super) checkpoint: Checkpoint,
}

/// `GET /v3/{project_id}/checkpoints/{checkpoint_id}`
#[tracing::instrument(name = "api.checkpoints.show", skip_all, fields(checkpoint.id = %checkpoint))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(checkpoint): PathId<CheckpointInPath>,
) -> Result<Json<Response>, ApiError> {
    let checkpoint = api.services.checkpoints.show(&access, checkpoint).await?.into();
    Ok(Json(Response { checkpoint }))
}
