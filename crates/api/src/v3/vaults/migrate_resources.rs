//! `MigrateVaultResource` (contract C11).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::set_resources::resource_ids;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "MigrateVaultResource",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/{vault_id}/migrateresources",
    group: "Vaults",
    summary: "Moves resources with all their backups to another vault; a task for each does it.",
    admission: Admission::Project,
    action: Some("cbr:vaults:migrateResources"),
    event: Some(Event::new("migrateResources", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MigrateVaultResourceRequest)]
struct Request {
    destination_vault_id: String,
    resource_ids: Vec<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MigrateVaultResourceResponse)]
struct Response {
    migrated_resources: Vec<String>,
}

/// `POST /v3/{project_id}/vaults/{vault_id}/migrateresources`
#[tracing::instrument(name = "api.vaults.migrate_resources", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let to = id_of(&request.destination_vault_id, ErrorCode::DestinationVaultAbsent)?;
    let ids = resource_ids(&request.resource_ids)?;
    let moving = api.services.vaults.migrate_resources(&access, vault, to, ids).await?;
    Ok(Json(Response { migrated_resources: moving.iter().map(ToString::to_string).collect() }))
}
