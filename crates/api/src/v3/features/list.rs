//! `ListFeatures` (contract C68).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::catalogue::{Features, features};
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// The largest `offset` (contract C68).
const OFFSET_MAX: u64 = 1000;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListFeatures",
    verb: Verb::Get,
    path: "/v3/{project_id}/cbr-features",
    group: "Features",
    summary: "Lists what this installation can do.",
    admission: Admission::Project,
    action: None,
    event: None,
    success: 200,
    query: &[
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped; 0 to 1000."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer: a flat map.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListFeaturesResponse, value_type = Object)]
struct Response(Features);

/// `GET /v3/{project_id}/cbr-features`
#[tracing::instrument(name = "api.features.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(_): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page()?;
    if page.offset > OFFSET_MAX {
        return Err(ApiError::invalid("offset", format_args!("0 to {OFFSET_MAX}")));
    }
    let skipped = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let found = features(&api.settings).into_iter().skip(skipped).take(page.limit as usize);
    Ok(Json(Response(found.collect())))
}
