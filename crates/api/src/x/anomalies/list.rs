//! Lists backups that look suspicious (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Anomaly;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListAnomalies",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/anomalies",
    group: "Extensions",
    summary: "Lists backups that look suspicious, the latest first, at most a thousand.",
    admission: Admission::Project,
    action: Some("cbr:backups:list"),
    event: None,
    success: 200,
    query: &[parameter("all", Form::Flag, "Also those that were confirmed; default false.")],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAnomaliesResponse)]
struct Response {
    anomalies: Vec<Anomaly>,
}

/// `GET /v3/{project_id}/x/anomalies`
#[tracing::instrument(name = "api.x.anomalies.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let with_confirmed = query.value("all")?.unwrap_or(false);
    let listed = api.services.anomalies.list(&access, !with_confirmed).await?;
    Ok(Json(Response { anomalies: listed.into_iter().map(Anomaly::from).collect() }))
}
