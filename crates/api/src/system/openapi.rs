//! The OpenAPI document of this very process.

use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::on;

use crate::error::ApiError;
use crate::openapi::openapi_json;
use crate::operation::{Admission, Operation, Verb};

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowOpenApi",
    verb: Verb::Get,
    path: "/openapi.json",
    group: "System",
    summary: "Shows this document.",
    admission: Admission::Anyone,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `GET /openapi.json`
async fn handle() -> Result<impl IntoResponse, ApiError> {
    let text = openapi_json().map_err(|_| ApiError::unknown())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
