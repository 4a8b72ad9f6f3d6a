//! `DeleteVaultTag` (contract C19).

use axum::extract::{RawPathParams, State};
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteVaultTag",
    verb: Verb::Delete,
    path: "/v3/{project_id}/vault/{vault_id}/tags/{key}",
    group: "Vault tags",
    summary: "Takes a tag off a vault.",
    admission: Admission::Project,
    action: Some("cbr:vaults:deleteTags"),
    event: Some(Event::new("deleteVaultTag", "vault")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/vault/{vault_id}/tags/{key}`
///
/// No rule for the letters of the key: tags from elsewhere can be taken off as well.
#[tracing::instrument(name = "api.vault_tags.delete", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    parameters: RawPathParams,
) -> Result<(), ApiError> {
    let key = parameters.iter().find(|(name, _)| *name == "key").map_or("", |(_, key)| key);
    api.services.vaults.remove_tag(&access, vault, key.trim()).await?;
    Ok(())
}
