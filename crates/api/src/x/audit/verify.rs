//! Looks at the whole chain of records (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::audit::Head;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "VerifyTraces",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/audit/verify",
    group: "Extensions",
    summary: "Says whether all records of the account are what was recorded.",
    admission: Admission::Project,
    action: Some("cts:trace:list"),
    event: None,
    success: 200,
    query: &[
        parameter("number", Form::Integer, "A number that was noted earlier."),
        parameter("digest", Form::Text, "The digest that was noted with it."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyTracesResponse)]
struct Response {
    /// How many records are what was recorded, from the first on.
    number: u64,
    /// The digest of the last of them. Noted elsewhere, it shows later that none before was changed
    /// or cut off.
    digest: String,
    /// The first record that is not; null: all are.
    broken_at: Option<u64>,
    /// What is wrong with it.
    reason: Option<&'static str>,
    /// Whether the noted record is still there as it was; null: none was said.
    holds_noted: Option<bool>,
}

/// `GET /v3/{project_id}/x/audit/verify`
#[tracing::instrument(name = "api.x.audit.verify", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let noted = match (query.value("number")?, query.text("digest")) {
        (None, None) => None,
        (Some(number), Some(digest)) => Some(Head { number, digest: digest.to_lowercase() }),
        _ => return Err(ApiError::invalid("digest", "number and digest belong together")),
    };
    let verified = api.services.audit.verify(&access, noted.as_ref()).await?;
    Ok(Json(Response {
        number: verified.head.number,
        digest: verified.head.digest,
        broken_at: verified.broken.as_ref().map(|broken| broken.number),
        reason: verified.broken.map(|broken| broken.reason),
        holds_noted: verified.holds_known,
    }))
}
