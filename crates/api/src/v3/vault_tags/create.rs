//! `CreateVaultTags` (contract C18).

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateVaultTags",
    verb: Verb::Post,
    path: "/v3/{project_id}/vault/{vault_id}/tags",
    group: "Vault tags",
    summary: "Puts a tag on a vault; a key that is there gets the new value.",
    admission: Admission::Project,
    action: Some("cbr:vaults:setTags"),
    event: Some(Event::new("createVaultTag", "vault")),
    success: 204,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateVaultTagsRequest)]
struct Request {
    tag: TagCreate,
}

/// The tag.
#[derive(Debug, Deserialize, ToSchema)]
struct TagCreate {
    /// 1 to 36 characters.
    key: String,
    /// 0 to 43 characters.
    value: String,
}

/// `POST /v3/{project_id}/vault/{vault_id}/tags`
#[tracing::instrument(name = "api.vault_tags.create", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<(), ApiError> {
    let TagCreate { key, value } = request.tag;
    let tag = cbr_model::tag::Tag { key, value };
    api.services.vaults.put_tags(&access, vault, vec![tag]).await?;
    Ok(())
}
