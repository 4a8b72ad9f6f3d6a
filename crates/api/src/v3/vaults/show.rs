//! `ShowVault` (contract C4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Vault;
use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowVault",
    verb: Verb::Get,
    path: "/v3/{project_id}/vaults/{vault_id}",
    group: "Vaults",
    summary: "Shows a vault with its resources.",
    admission: Admission::Project,
    action: Some("cbr:vaults:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVaultResponse)]
pub(crate) struct Response {
    pub(super) vault: Vault,
}

impl From<cbr_model::vault::Vault> for Response {
    fn from(vault: cbr_model::vault::Vault) -> Self {
        Self { vault: vault.into() }
    }
}

/// `GET /v3/{project_id}/vaults/{vault_id}`
#[tracing::instrument(name = "api.vaults.show", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
) -> Result<Json<Response>, ApiError> {
    let vault = api.services.vaults.show(&access, vault).await?.into();
    Ok(Json(Response { vault }))
}
