//! The records as they are kept, for an archive elsewhere (extension).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListTraceRecords",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/audit/records",
    group: "Extensions",
    summary: "Lists the account's records as they are kept, oldest first, at most a thousand.",
    admission: Admission::Project,
    action: Some("cts:trace:list"),
    event: None,
    success: 200,
    query: &[parameter("after", Form::Integer, "Only those after this number; default 0.")],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTraceRecordsResponse)]
struct Response {
    records: Vec<Record>,
}

/// A record as it is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceRecord)]
struct Record {
    /// From 1 on without gaps.
    number: u64,
    /// SHA-256 of the digest before (64 zeros before the first), a line feed, and `record`.
    digest: String,
    /// JSON as text.
    record: String,
}

/// `GET /v3/{project_id}/x/audit/records`
#[tracing::instrument(name = "api.x.audit.records", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let after = query.value("after")?.unwrap_or(0);
    let records = api.services.audit.records(&access, after).await?;
    let record = |kept: cbr_service::audit::Kept| Record {
        number: kept.number,
        digest: kept.digest,
        record: kept.record,
    };
    Ok(Json(Response { records: records.into_iter().map(record).collect() }))
}
