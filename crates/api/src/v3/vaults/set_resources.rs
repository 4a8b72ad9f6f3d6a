//! `SetVaultResource` (contract C10).
//!
//! The contract's words mean the opposite of what they say (E.5 number 13): `suspend` has automatic
//! backups take the resource, `unsuspend` has them leave it out.

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
    name: "SetVaultResource",
    verb: Verb::Put,
    path: "/v3/{project_id}/vaults/{vault_id}/set-resources",
    group: "Vaults",
    summary: "Says of resources whether automatic backups take them.",
    admission: Admission::Project,
    action: Some("cbr:vaults:setResources"),
    event: Some(Event::new("setResources", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SetVaultResourceRequest)]
struct Request {
    /// `suspend`: automatic backups take them; `unsuspend`: they leave them out.
    action: String,
    resource_ids: Vec<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetVaultResourceResponse)]
struct Response {
    set_resource_ids: Vec<String>,
}

/// `PUT /v3/{project_id}/vaults/{vault_id}/set-resources`
#[tracing::instrument(name = "api.vaults.set_resources", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let auto_protect = match request.action.as_str() {
        "suspend" => true,
        "unsuspend" => false,
        _ => return Err(ApiError::invalid("action", "suspend or unsuspend")),
    };
    let ids = resource_ids(&request.resource_ids)?;
    let set = api.services.vaults.set_auto_protect(&access, vault, ids, auto_protect).await?;
    Ok(Json(Response { set_resource_ids: set.iter().map(ToString::to_string).collect() }))
}

/// Ids of resources in a vault; at least one.
pub(super) fn resource_ids(ids: &[String]) -> Result<Vec<ResourceId>, ApiError> {
    if ids.is_empty() {
        return Err(ApiError::invalid("resource_ids", "at least one is needed"));
    }
    ids.iter().map(|id| id_of(id, ErrorCode::ResourceNotInVault)).collect()
}
