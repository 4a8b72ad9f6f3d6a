//! The outermost layer: every request gets an id, every answer says it, every
//! refusal gets its body, every panic becomes a 500, and every request is logged
//! and counted once.

use std::any::Any;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cbr_env::RandomExt;
use tracing::Instrument;
use uuid::Uuid;

use crate::error::{ApiError, ErrorCode, Shape};
use crate::state::Api;

/// The id of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    /// 32 hexadecimal digits, as the header has it (contract A.7).
    fn header(self) -> String {
        self.0.simple().to_string()
    }

    /// `req-<uuid>`, as operation logs have it (contract A.7).
    pub(crate) fn log(self) -> String {
        format!("req-{}", self.0.hyphenated())
    }
}

/// Wraps the handling of every request.
pub(crate) async fn answer(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = RequestId(api.random.uuid());
    request.extensions_mut().insert(id);
    let started = api.clock.monotonic_micros();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route =
        request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());

    // At the level of errors, so that a terse log too says which request failed.
    let span = tracing::error_span!("request", request.id = %id.header());
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let body = Shape::of(&path).body(&error, &id.header());
        let allow = response.headers().get(header::ALLOW).cloned();
        response = (error.status(), Json(body)).into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id.header()) {
        response.headers_mut().insert("x-request-id", value);
    }
    // The path is logged as the route: what a client puts into a path stays out of the labels.
    let route = route.as_deref().unwrap_or("-");
    let micros = api.clock.monotonic_micros().saturating_sub(started);
    let status = response.status();
    span.in_scope(|| {
        tracing::info!(%method, route, status = status.as_u16(), micros, "answered");
    });
    count(method.as_str(), route, status, micros);
    response
}

fn count(method: &str, route: &str, status: StatusCode, micros: u64) {
    // Methods are the client's words: only the known ones become labels.
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" => method,
        _ => "other",
    };
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("cbr_api_requests_total", &labels).increment(1);
    metrics::histogram!("cbr_api_request_seconds").record(micros as f64 / 1e6);
}

/// A path that no operation has.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::new(ErrorCode::UnknownApi, "The API does not exist or has not been published.")
}

/// A path that has operations, but none with the method.
pub(crate) async fn unknown_method() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "The method is not allowed for this path.")
}

/// What becomes of a panic in a handler.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a handler panicked");
    ApiError::unknown().into_response()
}
