//! Tags that the account has defined beforehand (TAG-02; the tag service, TMS).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::tag::{PredefinedTag, Tag};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::account;
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

const ALL: &str = "/v1.0/predefine_tags";
/// Tags of a page when the client does not say.
const LIMIT_DEFAULT: usize = 10;
/// The largest page.
const LIMIT_MAX: usize = 1000;

pub(crate) const LIST: Operation = account(
    "ListPredefineTags",
    (Verb::Get, ALL),
    "Lists the tags that the account has defined, in order of key and value.",
    "tms:predefineTags:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("key", Form::Text, "The key contains this."),
    parameter("value", Form::Text, "The value contains this."),
    parameter("limit", Form::Integer, "1 to 1000; default 10."),
    parameter("marker", Form::Text, "Where the page before ended, as its answer says."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const ACT: Operation = account(
    "CreateOrDeletePredefineTags",
    (Verb::Post, "/v1.0/predefine_tags/action"),
    "Defines tags, or removes them; what carries them keeps them.",
    "tms:predefineTags:update",
    |filter| on(filter, act),
)
.records("changePredefineTags", "account")
.succeeds_with(204)
.takes(schema_of::<ActRequest>());

pub(crate) const REPLACE: Operation = account(
    "UpdatePredefineTags",
    (Verb::Put, ALL),
    "Defines a tag in the place of another.",
    "tms:predefineTags:update",
    |filter| on(filter, replace),
)
.records("updatePredefineTags", "account")
.succeeds_with(204)
.takes(schema_of::<ReplaceRequest>());

/// A tag.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PredefineTagRequest)]
struct WireTag {
    key: String,
    #[serde(default)]
    value: Option<String>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateOrDeletePredefineTagsRequest)]
struct ActRequest {
    /// create or delete.
    action: String,
    tags: Vec<WireTag>,
}

/// Body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdatePredefineTagsRequest)]
struct ReplaceRequest {
    old_tag: WireTag,
    new_tag: WireTag,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListPredefineTagsResponse)]
struct ListResponse {
    /// Where the next page begins; empty: this is the last one.
    marker: String,
    total_count: usize,
    tags: Vec<ShownTag>,
}

/// A tag that is defined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PredefineTag)]
struct ShownTag {
    key: String,
    value: String,
    update_time: String,
}

impl From<WireTag> for Tag {
    fn from(tag: WireTag) -> Self {
        Self { key: tag.key, value: tag.value.unwrap_or_default() }
    }
}

impl From<&PredefinedTag> for ShownTag {
    fn from(known: &PredefinedTag) -> Self {
        Self {
            key: known.tag.key.clone(),
            value: known.tag.value.clone(),
            update_time: time::format_zulu(known.updated_at),
        }
    }
}

/// `GET /v1.0/predefine_tags`
#[tracing::instrument(name = "api.identity.list_predefined_tags", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let limit: usize = query.value("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("1 to {LIMIT_MAX}")));
    }
    let skipped: usize = query.value("marker")?.unwrap_or(0);
    let text = |name| query.text(name).map(str::to_owned);
    let (key, value) = (text("key"), text("value"));
    let identity = &api.services.identity;
    let all = identity.predefined_tags(&access, key.as_ref(), value.as_ref()).await?;
    let end = skipped.saturating_add(limit);
    Ok(Json(ListResponse {
        marker: if end < all.len() { end.to_string() } else { String::new() },
        total_count: all.len(),
        tags: all.iter().skip(skipped).take(limit).map(ShownTag::from).collect(),
    }))
}

/// `POST /v1.0/predefine_tags/action`
#[tracing::instrument(name = "api.identity.act_on_predefined_tags", skip_all)]
async fn act(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<ActRequest>,
) -> Result<(), ApiError> {
    let tags: Vec<Tag> = request.tags.into_iter().map(Tag::from).collect();
    let identity = &api.services.identity;
    match request.action.as_str() {
        "create" => identity.define_tags(&access, &tags).await?,
        "delete" => identity.forget_tags(&access, &tags).await?,
        _ => return Err(ApiError::invalid("action", "it is create or delete")),
    }
    Ok(())
}

/// `PUT /v1.0/predefine_tags`
#[tracing::instrument(name = "api.identity.replace_predefined_tag", skip_all)]
async fn replace(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    JsonBody(request): JsonBody<ReplaceRequest>,
) -> Result<(), ApiError> {
    let (old, new) = (request.old_tag.into(), request.new_tag.into());
    api.services.identity.replace_tag(&access, &old, &new).await?;
    Ok(())
}
