//! Says which metered hours are in somebody's books (extension; BIL-01): only those are forgotten in time.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "NoteMeteringExported",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/billing/exported",
    group: "Extensions",
    summary: "Says that a project's metered hours before a time are exported, so that they may be forgotten; for the operator.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("noteMeteringExported", "metering")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NoteMeteringExportedRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Whose hours; without it the project's own.
    project_id: Option<String>,
    /// Hours that begin before are exported; not after what is metered.
    until: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoteMeteringExportedResponse)]
struct Response {
    /// Before that all are exported, as was said now or earlier.
    exported_until: String,
}

/// `POST /v3/{project_id}/x/billing/exported`
#[tracing::instrument(name = "api.x.billing.exported", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let until = time::parse(&request.until)
        .ok_or_else(|| ApiError::invalid("until", "write it as 2030-01-31T00:00:00Z"))?;
    let project = request.project_id.map(|id| id.parse()).transpose();
    let project = project.map_err(|_| ApiError::invalid("project_id", "the id of a project"))?;
    let exported = api.services.billing.note_exported(&access, project, until).await?;
    Ok(Json(Response { exported_until: time::format(exported) }))
}
