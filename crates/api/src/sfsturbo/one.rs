//! One file system (contract F.5): there is none of any id.

use axum::Json;
use axum::extract::Path;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};

pub(crate) const SHOW: Operation = Operation {
    name: "ShowShare",
    verb: Verb::Get,
    path: "/v1/{project_id}/sfs-turbo/shares/{share_id}",
    group: "File systems",
    summary: "Shows a file system. There are none.",
    admission: Admission::Project,
    action: Some("sfsturbo:shares:getShare"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

pub(crate) const DELETE: Operation = Operation {
    name: "DeleteShare",
    verb: Verb::Delete,
    summary: "Deletes a file system. There are none.",
    action: Some("sfsturbo:shares:deleteShare"),
    event: Some(Event::new("deleteShare", "share")),
    success: 202,
    ..SHOW
};

/// Body of an answer that nobody gets yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowShareResponse)]
struct Response {
    id: String,
}

/// `GET` and `DELETE /v1/{project_id}/sfs-turbo/shares/{share_id}`
#[tracing::instrument(name = "api.shares.one", skip_all)]
async fn handle(
    _: Authorised,
    Path((_, share)): Path<(String, String)>,
) -> Result<Json<Response>, ApiError> {
    let message = format!("File system {share} does not exist.");
    Err(ApiError::new(ErrorCode::FileSystemNotFound, message))
}
