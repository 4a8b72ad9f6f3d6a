//! `ShowVaultProjectTag` (contract C21).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowVaultProjectTag",
    verb: Verb::Get,
    path: "/v3/{project_id}/vault/tags",
    group: "Vault tags",
    summary: "Lists the tag keys of the project's vaults, each with all its values.",
    admission: Admission::Project,
    action: Some("cbr:vaults:listProjectTags"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVaultProjectTagResponse)]
struct Response {
    tags: Vec<KeyInUse>,
}

/// A key with all values it has somewhere.
#[derive(Debug, Serialize, ToSchema)]
struct KeyInUse {
    key: String,
    values: Vec<String>,
}

/// `GET /v3/{project_id}/vault/tags`
#[tracing::instrument(name = "api.vault_tags.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Response>, ApiError> {
    let tags = api.services.vaults.tags_in_use(&access).await?;
    let tags = tags.into_iter().map(|(key, values)| KeyInUse { key, values }).collect();
    Ok(Json(Response { tags }))
}
