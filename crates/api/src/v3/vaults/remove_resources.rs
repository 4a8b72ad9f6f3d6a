//! `RemoveVaultResource` (contract C9).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ResourceId;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "RemoveVaultResource",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/{vault_id}/removeresources",
    group: "Vaults",
    summary: "Takes resources out of a vault with all their backups; a task does it.",
    admission: Admission::Project,
    action: Some("cbr:vaults:removeResources"),
    event: Some(Event::new("removeResources", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RemoveVaultResourceRequest)]
struct Request {
    resource_ids: Vec<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemoveVaultResourceResponse)]
struct Response {
    remove_resource_ids: Vec<String>,
}

/// `POST /v3/{project_id}/vaults/{vault_id}/removeresources`
#[tracing::instrument(name = "api.vaults.remove_resources", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.resource_ids.is_empty() {
        return Err(ApiError::invalid("resource_ids", "at least one is needed"));
    }
    let resources: Vec<ResourceId> = request
        .resource_ids
        .iter()
        .map(|id| id_of(id, ErrorCode::ResourceNotInVault))
        .collect::<Result<_, _>>()?;
    let removed = api.services.vaults.remove_resources(&access, vault, resources).await?;
    Ok(Json(Response { remove_resource_ids: removed.iter().map(ToString::to_string).collect() }))
}
