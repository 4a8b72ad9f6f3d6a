//! `CopyCheckpoint` (contract C25): checked, and refused, because there is no other region.

use std::convert::Infallible;

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::Destination;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CopyCheckpoint",
    verb: Verb::Post,
    path: "/v3/{project_id}/checkpoints/replicate",
    group: "Replication",
    summary: "Would copy a vault's backups to another region; refused, because there is none.",
    admission: Admission::Project,
    action: Some("cbr:vaults:replicate"),
    event: Some(Event::new("replicateVaultBackup", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CopyCheckpointRequest)]
struct Request {
    replicate: Replicate,
}

/// The copies that are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CheckpointReplicate)]
struct Replicate {
    vault_id: String,
    #[serde(flatten)]
    destination: Destination,
}

/// `POST /v3/{project_id}/checkpoints/replicate`
#[tracing::instrument(name = "api.replication.copy_checkpoint", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Infallible, ApiError> {
    let Replicate { vault_id, destination } = request.replicate;
    let vault = id_of(&vault_id, ErrorCode::VaultNotFound)?;
    let (to, here) = (destination.read()?, &api.settings.region);
    Ok(api.services.replication.copy_vault(&access, here, vault, &to).await?)
}
