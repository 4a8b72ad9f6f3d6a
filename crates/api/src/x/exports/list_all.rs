//! Lists the exports of a project (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;

use super::wire::Many;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListExports",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/exports",
    group: "Extensions",
    summary: "Lists the exports of all backups of the project.",
    admission: Admission::Project,
    action: Some("cbr:backups:list"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Many>()),
    mount: |filter| on(filter, handle),
};

/// `GET /v3/{project_id}/x/exports`
#[tracing::instrument(name = "api.x.exports.list_all", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Many>, ApiError> {
    Ok(Json(api.services.exports.list(&access, None).await?.into()))
}
