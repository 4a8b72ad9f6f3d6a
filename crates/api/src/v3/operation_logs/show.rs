//! `ShowOpLog` (contract C52).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::OperationLog;
use crate::error::ApiError;
use crate::extract::{Authorised, OperationInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowOpLog",
    verb: Verb::Get,
    path: "/v3/{project_id}/operation-logs/{operation_log_id}",
    group: "Tasks",
    summary: "Shows an operation log.",
    admission: Admission::Project,
    action: Some("cbr:tasks:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowOpLogResponse)]
pub(crate) struct Response {
    pub(crate) operation_log: OperationLog,
}

/// `GET /v3/{project_id}/operation-logs/{operation_log_id}`
#[tracing::instrument(name = "api.operation_logs.show", skip_all, fields(task.id = %task))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(task): PathId<OperationInPath>,
) -> Result<Json<Response>, ApiError> {
    let operation_log = api.services.operations.show(&access, task).await?.into();
    Ok(Json(Response { operation_log }))
}
