//! Lets metering go on with the hour that is now (extension): after a clock that was wrong.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::audit::Event;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ResumeMetering",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/billing/resume",
    group: "Extensions",
    summary: "Goes on metering with the hour that is now; what lies between is not metered. For administrators of the account that runs the installation.",
    admission: Admission::Project,
    action: Some("cbr:vaults:credit"),
    event: Some(Event::new("resumeMetering", "metering")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/x/billing/resume`
#[tracing::instrument(name = "api.x.billing.resume", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<StatusCode, ApiError> {
    api.services.billing.resume_metering(&access).await?;
    Ok(StatusCode::NO_CONTENT)
}
