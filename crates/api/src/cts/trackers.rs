//! List of trackers (contract F.7): there is one.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{SYSTEM, Tracker};
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListTrackers",
    verb: Verb::Get,
    path: "/v3/{project_id}/trackers",
    group: "Traces",
    summary: "Says whether the project's changes are recorded.",
    admission: Admission::Project,
    action: Some("cts:tracker:list"),
    event: None,
    success: 200,
    query: &[
        parameter("tracker_name", Form::Text, "Of this name."),
        parameter("tracker_type", Form::Text, "Of this type."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTrackersResponse)]
struct Response {
    trackers: Vec<Tracker>,
}

/// `GET /v3/{project_id}/trackers`
#[tracing::instrument(name = "api.trackers.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let is_meant = |key| query.text(key).is_none_or(|text| text == SYSTEM);
    if !is_meant("tracker_name") || !is_meant("tracker_type") {
        return Ok(Json(Response { trackers: Vec::new() }));
    }
    let tracker = api.services.audit.tracker(&access).await?;
    Ok(Json(Response { trackers: vec![Tracker::of(tracker, &access)] }))
}
