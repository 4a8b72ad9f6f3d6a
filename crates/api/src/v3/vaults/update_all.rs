//! `BatchUpdateVault` (contract C6): all vaults of the project.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "BatchUpdateVault",
    verb: Verb::Put,
    path: "/v3/{project_id}/vaults/batch-update",
    group: "Vaults",
    summary: "Sets who is told when on all vaults of the project.",
    admission: Admission::Project,
    action: Some("cbr:vaults:update"),
    event: Some(Event::new("updateVault", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchUpdateVaultRequest)]
struct Request {
    vault: VaultBatchUpdate,
}

/// What shall be different; at least one of the two.
#[derive(Debug, Deserialize, ToSchema)]
struct VaultBatchUpdate {
    smn_notify: Option<bool>,
    /// 1 to 100 per cent.
    threshold: Option<i64>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchUpdateVaultResponse)]
struct Response {
    /// Those that could be changed: not the frozen, and not those that are being deleted.
    updated_vaults_id: Vec<String>,
}

/// `PUT /v3/{project_id}/vaults/batch-update`
#[tracing::instrument(name = "api.vaults.update_all", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let VaultBatchUpdate { smn_notify, threshold } = request.vault;
    if smn_notify.is_none() && threshold.is_none() {
        return Err(ApiError::invalid("vault", "smn_notify or threshold is needed"));
    }
    let updated = api.services.vaults.update_all(&access, smn_notify, threshold).await?;
    Ok(Json(Response { updated_vaults_id: updated.iter().map(ToString::to_string).collect() }))
}
