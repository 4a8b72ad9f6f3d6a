//! The list of file systems (contract F.5).

use axum::Json;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;

/// The largest page, and the one when the client does not say.
const LIMIT_MAX: u32 = 1000;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListShares",
    verb: Verb::Get,
    path: "/v1/{project_id}/sfs-turbo/shares/detail",
    group: "File systems",
    summary: "Lists file systems. There are none: this installation has no provider of them.",
    admission: Admission::Project,
    action: Some("sfsturbo:shares:getAllShares"),
    event: None,
    success: 200,
    query: &[
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "Rows to skip."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListSharesResponse)]
struct Response {
    /// Empty.
    shares: Vec<String>,
    count: u64,
}

/// `GET /v1/{project_id}/sfs-turbo/shares/detail`
#[tracing::instrument(name = "api.shares.list", skip_all)]
async fn handle(_: Authorised, query: Query) -> Result<Json<Response>, ApiError> {
    let limit: u32 = query.value("limit")?.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("1 to {LIMIT_MAX}")));
    }
    query.value::<u32>("offset")?;
    Ok(Json(Response { shares: Vec::new(), count: 0 }))
}
