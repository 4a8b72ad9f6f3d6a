//! What can be recorded: the events of the operation table (contract F.7).

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::routing::on;
use cbr_service::checkpoints::BACKUP_MADE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::table::OPERATIONS;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListTraceOperations",
    verb: Verb::Get,
    path: "/v3/{project_id}/operations",
    group: "Traces",
    summary: "Lists what is recorded, by kind of thing.",
    admission: Admission::Project,
    action: Some("cts:trace:list"),
    event: None,
    success: 200,
    query: &[
        parameter("service_type", Form::Text, "In this service."),
        parameter("resource_type", Form::Text, "To this kind of thing."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTraceOperationsResponse)]
struct Response {
    operations: Vec<Recorded>,
}

/// What is recorded of one kind of thing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceOperations)]
struct Recorded {
    service_type: &'static str,
    resource_type: &'static str,
    operation_list: BTreeSet<&'static str>,
}

/// `GET /v3/{project_id}/operations`
#[tracing::instrument(name = "api.traces.operations", skip_all)]
async fn handle(Authorised(_access): Authorised, query: Query) -> Result<Json<Response>, ApiError> {
    let mut names: BTreeMap<(&str, &str), BTreeSet<&'static str>> = BTreeMap::new();
    let of_operations = OPERATIONS.iter().filter_map(|operation| operation.event);
    for event in of_operations.chain([BACKUP_MADE]) {
        names.entry((event.service(), event.resource_type)).or_default().insert(event.name);
    }
    let is_meant = |key, value| query.text(key).is_none_or(|wanted| wanted == value);
    let operations = names
        .into_iter()
        .filter(|((service, _), _)| is_meant("service_type", *service))
        .filter(|((_, resource), _)| is_meant("resource_type", *resource))
        .map(|((service_type, resource_type), operation_list)| Recorded {
            service_type,
            resource_type,
            operation_list,
        })
        .collect();
    Ok(Json(Response { operations }))
}
