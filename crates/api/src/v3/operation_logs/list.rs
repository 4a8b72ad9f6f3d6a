//! `ListOpLogs` (contract C51). Nothing found is an empty list, never a 404.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::operation::{OperationStatus, OperationType};
use cbr_model::query::OperationFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::OperationLog;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::{Query, enterprise_project};
use crate::state::Api;
use crate::v3::provider_id::kind_of_provider;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListOpLogs",
    verb: Verb::Get,
    path: "/v3/{project_id}/operation-logs",
    group: "Tasks",
    summary: "Lists operation logs, newest first.",
    admission: Admission::Project,
    action: Some("cbr:tasks:list"),
    event: None,
    success: 200,
    query: &[
        parameter("operation_type", Form::Text, "Of this type."),
        parameter("status", Form::Texts, "In one of these statuses."),
        parameter("vault_id", Form::Text, "Of this vault."),
        parameter("vault_name", Form::Text, "The vault's name contains this."),
        parameter("resource_id", Form::Text, "On this resource."),
        parameter("resource_name", Form::Text, "The resource's name contains this."),
        parameter("checkpoint_id", Form::Text, "Of this run; an extension."),
        parameter("provider_id", Form::Text, "On this kind of resource."),
        parameter("policy_id", Form::Text, "Started by this policy; an extension."),
        parameter("request_id", Form::Text, "Started by this request; an extension."),
        parameter("enterprise_project_id", Form::Text, "Of its vault; all_granted_eps: any."),
        parameter("destination_region", Form::Text, "Copies to this region; there are none."),
        parameter("destination_project_id", Form::Text, "Copies to this project; none as well."),
        parameter("start_time", Form::Time, "Started at this time or later."),
        parameter("end_time", Form::Time, "Ended at this time or earlier."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListOpLogsResponse)]
struct Response {
    operation_logs: Vec<OperationLog>,
    /// How many match without paging.
    count: u64,
    limit: u32,
    offset: u64,
}

/// `GET /v3/{project_id}/operation-logs`
#[tracing::instrument(name = "api.operation_logs.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page()?;
    let (logs, count) = match filter(&query)? {
        None => (vec![], 0),
        Some(filter) => {
            let found = api.services.operations.list(&access, &filter, page).await?;
            (found.rows, found.total)
        }
    };
    let operation_logs = logs.into_iter().map(OperationLog::from).collect();
    Ok(Json(Response { operation_logs, count, limit: page.limit, offset: page.offset }))
}

/// What is asked for; `None`: something this service never has, so nothing matches.
fn filter(query: &Query) -> Result<Option<OperationFilter>, ApiError> {
    let resource_kind = match query.text("provider_id") {
        None => None,
        Some(id) => match kind_of_provider(id) {
            None => return Ok(None),
            kind => kind,
        },
    };
    if query.text("destination_region").or(query.text("destination_project_id")).is_some() {
        return Ok(None);
    }
    Ok(Some(OperationFilter {
        operation: query.word("operation_type", OperationType::from_str_exact)?,
        statuses: query.words("status", OperationStatus::from_str_exact)?,
        vault: query.value("vault_id")?,
        vault_name: query.text("vault_name").map(str::to_owned),
        resource: query.value("resource_id")?,
        resource_kind,
        resource_name: query.text("resource_name").map(str::to_owned),
        checkpoint: query.value("checkpoint_id")?,
        request_id: query.text("request_id").map(str::to_owned),
        policy: query.value("policy_id")?,
        enterprise_project: enterprise_project(query),
        started_from: query.time("start_time")?,
        ended_until: query.time("end_time")?,
    }))
}
