//! Makes the tracker, that is: has changes recorded (contract F.7).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use super::wire::{Tracker, Wanted};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateTracker",
    verb: Verb::Post,
    path: "/v3/{project_id}/tracker",
    group: "Traces",
    summary: "Has the project's changes recorded. They are, unless somebody switched it off.",
    admission: Admission::Project,
    action: Some("cts:tracker:create"),
    event: Some(Event::new("createTracker", "tracker")),
    success: 201,
    query: &[],
    request: Some(schema_of::<Wanted>()),
    response: Some(schema_of::<Tracker>()),
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/tracker`
#[tracing::instrument(name = "api.trackers.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Json<Tracker>, ApiError> {
    wanted.check()?;
    let tracker = api.services.audit.set_tracker(&access, true).await?;
    Ok(Json(Tracker::of(tracker, &access)))
}
