//! `BatchCreateAndDeleteVaultTags` (contract C17).

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::tag::Tag;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "BatchCreateAndDeleteVaultTags",
    verb: Verb::Post,
    path: "/v3/{project_id}/vault/{vault_id}/tags/action",
    group: "Vault tags",
    summary: "Puts several tags on a vault, or takes several off it.",
    admission: Admission::Project,
    action: Some("cbr:vaults:bulkCreateOrDeleteTags"),
    event: Some(Event::new("bulkCreateDeleteVaultTag", "vault")),
    success: 204,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchCreateAndDeleteVaultTagsRequest)]
struct Request {
    /// `create` or `delete`.
    action: String,
    /// 1 to 10.
    #[serde(default)]
    tags: Option<Vec<BatchTag>>,
    /// For the operation service only; refused to everybody else.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    sys_tags: Option<Vec<serde_json::Value>>,
}

/// A tag that shall be there, or not.
#[derive(Debug, Deserialize, ToSchema)]
struct BatchTag {
    key: String,
    /// Needed to create, not looked at to delete.
    value: Option<String>,
}

/// `POST /v3/{project_id}/vault/{vault_id}/tags/action`
#[tracing::instrument(name = "api.vault_tags.change", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<(), ApiError> {
    if request.sys_tags.is_some_and(|tags| !tags.is_empty()) {
        let message = "System tags are kept by the operation service only.";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    let tags = request.tags.unwrap_or_default();
    let vaults = &api.services.vaults;
    match request.action.as_str() {
        "create" => vaults.put_tags(&access, vault, complete(tags)?).await?,
        "delete" => {
            let keys = tags.into_iter().map(|tag| tag.key).collect();
            vaults.remove_tags(&access, vault, keys).await?;
        }
        _ => return Err(ApiError::invalid("action", "create or delete")),
    }
    Ok(())
}

fn complete(tags: Vec<BatchTag>) -> Result<Vec<Tag>, ApiError> {
    let complete = |tag: BatchTag| {
        let missing = || ApiError::invalid("tags", "a tag that is created has a value");
        Ok(Tag { value: tag.value.ok_or_else(missing)?, key: tag.key })
    };
    tags.into_iter().map(complete).collect()
}
