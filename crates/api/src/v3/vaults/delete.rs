//! `DeleteVault` (contract C7).

use axum::extract::State;
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteVault",
    verb: Verb::Delete,
    path: "/v3/{project_id}/vaults/{vault_id}",
    group: "Vaults",
    summary: "Deletes a vault with everything in it; a task does it.",
    admission: Admission::Project,
    action: Some("cbr:vaults:delete"),
    event: Some(Event::new("deleteVault", "vault")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/vaults/{vault_id}`
#[tracing::instrument(name = "api.vaults.delete", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
) -> Result<(), ApiError> {
    api.services.vaults.delete(&access, vault).await?;
    Ok(())
}
