//! Whether the process answers. Says nothing about the store or the providers: `cbr doctor` does.

use axum::Json;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operation::{Admission, Operation, Verb, schema_of};

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowHealth",
    verb: Verb::Get,
    path: "/healthz",
    group: "System",
    summary: "Says that the process answers.",
    admission: Admission::Anyone,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Health>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// `GET /healthz`
async fn handle() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}
