//! Lists the trash (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::TrashedBackup;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListTrash",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/trash",
    group: "Extensions",
    summary: "Lists backups that were deleted and can be taken back, what was deleted last first.",
    admission: Admission::Project,
    action: Some("cbr:backups:list"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTrashResponse)]
struct Response {
    /// At most a thousand.
    trash: Vec<TrashedBackup>,
    count: usize,
    /// For how many days what is deleted can be taken back; 0: it is gone at once.
    undo_days: u32,
}

/// `GET /v3/{project_id}/x/trash`
#[tracing::instrument(name = "api.x.trash.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Response>, ApiError> {
    let listed = api.services.trash.list(&access).await?;
    let trash: Vec<TrashedBackup> = listed.into_iter().map(TrashedBackup::from).collect();
    let undo_days = api.services.trash.undo_days();
    Ok(Json(Response { count: trash.len(), trash, undo_days }))
}
