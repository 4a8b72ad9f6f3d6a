//! `ShowSummary` (contract C15).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowSummary",
    verb: Verb::Get,
    path: "/v3/{project_id}/vaults/summary",
    group: "Vaults",
    summary: "Adds up capacity and used capacity of all vaults of the project.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowSummaryResponse)]
struct Response {
    /// GB.
    size: u64,
    /// GB; less than one is none.
    used_size: u64,
}

/// `GET /v3/{project_id}/vaults/summary`
#[tracing::instrument(name = "api.vaults.summary", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Response>, ApiError> {
    let (size, used) = api.services.vaults.summary(&access).await?;
    Ok(Json(Response { size: size.0, used_size: used.gib_displayed() }))
}
