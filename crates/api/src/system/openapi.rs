//! The OpenAPI document of this very process.

use std::sync::OnceLock;

use axum::body::Bytes;
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

/// `GET /openapi.json`: made once, because anybody may ask for it at any rate.
async fn handle() -> Result<impl IntoResponse, ApiError> {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = if let Some(text) = TEXT.get() {
        text.clone()
    } else {
        let made = openapi_json().map_err(|_| ApiError::unknown())?;
        TEXT.get_or_init(|| made.into()).clone()
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}
