//! `ShowFeature` (contract C69).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::catalogue::{Features, features};
use crate::error::ApiError;
use crate::extract::{Authorised, PathText, TextParameter};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowFeature",
    verb: Verb::Get,
    path: "/v3/{project_id}/cbr-features/{feature_key}",
    group: "Features",
    summary: "Shows one thing this installation can do or not.",
    admission: Admission::Project,
    action: None,
    event: None,
    success: 200,
    // `limit` and `offset` of the contract mean nothing for one feature.
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer: a map with that key alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowFeatureResponse, value_type = Object)]
struct Response(Features);

/// `{feature_key}`
#[derive(Debug)]
enum FeatureKey {}

impl TextParameter for FeatureKey {
    const NAME: &'static str = "feature_key";
}

/// `GET /v3/{project_id}/cbr-features/{feature_key}`
#[tracing::instrument(name = "api.features.show", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(_): Authorised,
    PathText(key, _): PathText<FeatureKey>,
) -> Result<Json<Response>, ApiError> {
    let all = features(&api.settings);
    let keys = all.keys().copied().collect::<Vec<_>>().join(", ");
    let found: Features = all.into_iter().filter(|(known, _)| *known == key).collect();
    if found.is_empty() {
        return Err(ApiError::invalid("feature_key", format_args!("it is one of {keys}")));
    }
    Ok(Json(Response(found)))
}
