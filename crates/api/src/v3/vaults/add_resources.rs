//! `AddVaultResource` (contract C8).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{ResourceCreate, wanted};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "AddVaultResource",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/{vault_id}/addresources",
    group: "Vaults",
    summary: "Binds resources, all or none; one that is bound here already gets its extra_info replaced.",
    admission: Admission::Project,
    action: Some("cbr:vaults:addResources"),
    event: Some(Event::new("addResources", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AddVaultResourceRequest)]
struct Request {
    resources: Vec<ResourceCreate>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddVaultResourceResponse)]
struct Response {
    add_resource_ids: Vec<String>,
}

/// `POST /v3/{project_id}/vaults/{vault_id}/addresources`
#[tracing::instrument(name = "api.vaults.add_resources", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    if request.resources.is_empty() {
        return Err(ApiError::invalid("resources", "at least one is needed"));
    }
    let wanted = wanted(request.resources)?;
    let added = api.services.vaults.add_resources(&access, vault, wanted).await?;
    Ok(Json(Response { add_resource_ids: added.iter().map(ToString::to_string).collect() }))
}
