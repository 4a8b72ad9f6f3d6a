//! `ListPolicies` (contract C41).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::policy::PolicyOperation;
use cbr_model::query::PolicyFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Policy;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListPolicies",
    verb: Verb::Get,
    path: "/v3/{project_id}/policies",
    group: "Policies",
    summary: "Lists policies, newest first.",
    admission: Admission::Project,
    action: Some("cbr:policies:list"),
    event: None,
    success: 200,
    query: &[
        parameter("operation_type", Form::Text, "backup or replication."),
        parameter("vault_id", Form::Text, "Bound to this vault."),
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
#[schema(as = ListPoliciesResponse)]
struct Response {
    policies: Vec<Policy>,
    /// How many match without paging.
    count: u64,
}

/// `GET /v3/{project_id}/policies`
#[tracing::instrument(name = "api.policies.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let filter = PolicyFilter {
        operation: query.word("operation_type", PolicyOperation::from_str_exact)?,
        vault: query.value("vault_id")?,
    };
    let found = api.services.policies.list(&access, &filter, query.page()?).await?;
    let policies = found.rows.into_iter().map(Policy::from).collect();
    Ok(Json(Response { policies, count: found.total }))
}
