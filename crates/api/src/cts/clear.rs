//! Deletes the tracker, that is: has changes not recorded any more (contract F.7).

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use super::wire::check_system;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteTracker",
    verb: Verb::Delete,
    path: "/v3/{project_id}/trackers",
    group: "Traces",
    summary: "Ends the recording of the project's changes. What was recorded stays.",
    admission: Admission::Project,
    action: Some("cts:tracker:delete"),
    event: Some(Event::new("deleteTracker", "tracker")),
    success: 204,
    query: &[
        parameter("tracker_name", Form::Text, "`system`."),
        parameter("tracker_type", Form::Text, "`system`."),
    ],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/trackers`
#[tracing::instrument(name = "api.trackers.delete", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<(), ApiError> {
    check_system("tracker_name", query.text("tracker_name"))?;
    check_system("tracker_type", query.text("tracker_type"))?;
    api.services.audit.set_tracker(&access, false).await?;
    Ok(())
}
