//! Asks a running backup to stop (extension, BAK-24).

use axum::Json;
use axum::extract::State;
use axum::routing::on;

use crate::error::ApiError;
use crate::extract::{Authorised, OperationInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::operation_logs::show::Response;
use cbr_model::audit::Event;

pub(crate) const OPERATION: Operation = Operation {
    name: "CancelOperation",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/operation-logs/{operation_log_id}/cancel",
    group: "Extensions",
    summary: "Asks a backup task to stop; restores and deletions cannot be stopped.",
    admission: Admission::Project,
    action: Some("cbr:tasks:cancel"),
    event: Some(Event::new("cancelTask", "task")),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/x/operation-logs/{operation_log_id}/cancel`
#[tracing::instrument(name = "api.x.cancel_operation", skip_all, fields(task.id = %task))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(task): PathId<OperationInPath>,
) -> Result<Json<Response>, ApiError> {
    let operation_log = api.services.operations.cancel(&access, task).await?.into();
    Ok(Json(Response { operation_log }))
}
