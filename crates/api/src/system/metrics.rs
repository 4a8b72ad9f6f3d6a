//! Metrics in the Prometheus text format, where the operator switched them on.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::on;

use crate::answer::unknown_path;
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMetrics",
    verb: Verb::Get,
    path: "/metrics",
    group: "System",
    summary: "Shows metrics as Prometheus reads them. They name resources by id, and no tenant.",
    admission: Admission::Anyone,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `GET /metrics`
async fn handle(State(api): State<Api>) -> Response {
    match &api.settings.metrics {
        Some(render) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()).into_response()
        }
        None => unknown_path().await.into_response(),
    }
}
