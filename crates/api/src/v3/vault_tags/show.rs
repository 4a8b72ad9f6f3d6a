//! `ShowVaultTag` (contract C20).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::wire::Tag;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowVaultTag",
    verb: Verb::Get,
    path: "/v3/{project_id}/vault/{vault_id}/tags",
    group: "Vault tags",
    summary: "Shows the tags of a vault.",
    admission: Admission::Project,
    action: Some("cbr:vaults:getTags"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVaultTagResponse)]
struct Response {
    tags: Vec<Tag>,
}

/// `GET /v3/{project_id}/vault/{vault_id}/tags`
#[tracing::instrument(name = "api.vault_tags.show", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
) -> Result<Json<Response>, ApiError> {
    let vault = api.services.vaults.show(&access, vault).await?;
    Ok(Json(Response { tags: vault.tags.into_iter().map(Tag::from).collect() }))
}
