//! Making a file system (contract F.5, NEW-08): refused, because nothing here could hold it.

use axum::Json;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateShare",
    verb: Verb::Post,
    path: "/v1/{project_id}/sfs-turbo/shares",
    group: "File systems",
    summary: "Refused: this installation has no provider of file systems.",
    admission: Admission::Project,
    action: Some("sfsturbo:shares:createShare"),
    event: Some(Event::new("createShare", "share")),
    success: 202,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateShareRequest)]
struct Request {
    share: Share,
}

/// The file system that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateShareOption)]
struct Share {
    name: String,
}

/// Body of an answer that nobody gets yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateShareResponse)]
struct Response {
    id: String,
    name: String,
    status: String,
}

/// `POST /v1/{project_id}/sfs-turbo/shares`
#[tracing::instrument(name = "api.shares.create", skip_all)]
async fn handle(
    _: Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let message = format!(
        "File system {} cannot be made: this installation has no provider of file systems. \
         Use a server with a disk.",
        request.share.name
    );
    Err(ApiError::new(ErrorCode::FileSystemsUnsupported, message))
}
