//! `ImportCheckpoint` (contract C26): checked, and refused, because no vault is of a hybrid cloud.

use std::convert::Infallible;

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
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
    summary: "Would pull what the bucket of a hybrid vault has; refused, because there is none.",
    admission: Admission::Project,
    action: Some("cbr:vaults:sync"),
    event: Some(Event::new("syncVaultBackup", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
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
    vault_id: String,
    /// Whether a schedule asks.
    #[serde(rename = "auto_trigger")]
    _auto_trigger: bool,
}

/// `POST /v3/{project_id}/checkpoints/sync`
#[tracing::instrument(name = "api.replication.import_checkpoint", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Infallible, ApiError> {
    let vault = id_of(&request.sync.vault_id, ErrorCode::VaultNotFound)?;
    Ok(api.services.replication.sync_vault(&access, vault).await?)
}
