//! Switches recording on or off (contract F.7, AUD-04).

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use super::wire::Wanted;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateTracker",
    verb: Verb::Put,
    path: "/v3/{project_id}/tracker",
    group: "Traces",
    summary: "Switches the recording of the project's changes on or off; the switch is recorded.",
    admission: Admission::Project,
    action: Some("cts:tracker:update"),
    event: Some(Event::new("updateTracker", "tracker")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Wanted>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// `PUT /v3/{project_id}/tracker`
#[tracing::instrument(name = "api.trackers.update", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<(), ApiError> {
    wanted.check()?;
    let enabled = match wanted.status.as_deref() {
        None => return Ok(()),
        Some("enabled") => true,
        Some("disabled") => false,
        Some(_) => return Err(ApiError::invalid("status", "`enabled` or `disabled`")),
    };
    api.services.audit.set_tracker(&access, enabled).await?;
    Ok(())
}
