//! `ImportCheckpoint` (contract C26): takes in what the project's buckets have.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ImportCheckpoint",
    verb: Verb::Post,
    path: "/v3/{project_id}/checkpoints/sync",
    group: "Replication",
    summary: "Takes in all backups of the project's buckets that are not there yet, as one task.",
    admission: Admission::Project,
    action: Some("cbr:vaults:sync"),
    event: Some(Event::new("syncVaultBackup", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ImportCheckpointRequest)]
struct Request {
    sync: Sync,
}

/// The vault to be synchronised.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CheckpointSync)]
struct Sync {
    /// A file vault.
    vault_id: String,
    /// Whether a schedule asks: then the backups are automatic ones.
    auto_trigger: bool,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportCheckpointResponse)]
struct Response {
    sync: SyncBegun,
}

/// A synchronisation that began.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckpointSyncBegun)]
struct SyncBegun {
    vault_id: String,
    operation_log_id: String,
}

/// `POST /v3/{project_id}/checkpoints/sync`
#[tracing::instrument(name = "api.replication.import_checkpoint", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let Sync { vault_id, auto_trigger } = request.sync;
    let vault = id_of(&vault_id, ErrorCode::VaultNotFound)?;
    let begun = api.services.imports.sync(&access, vault, auto_trigger).await?;
    let (vault_id, operation_log_id) = (begun.vault.to_string(), begun.log.to_string());
    Ok(Json(Response { sync: SyncBegun { vault_id, operation_log_id } }))
}
