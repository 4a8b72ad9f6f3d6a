//! `ListOrganizationPolicies` (contract C46).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::policy::PolicyOperation;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::OrganizationPolicy;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListOrganizationPolicies",
    verb: Verb::Get,
    path: "/v3/{project_id}/organization-policies",
    group: "Organization policies",
    summary: "Lists the policies of the account, newest first.",
    admission: Admission::Project,
    action: Some("cbr:organizationPolicies:list"),
    event: None,
    success: 200,
    query: &[
        parameter("operation_type", Form::Text, "backup or replication; needed."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListOrganizationPoliciesResponse)]
struct Response {
    policies: Vec<OrganizationPolicy>,
    /// How many match without paging.
    count: u64,
    limit: u32,
    offset: u64,
}

/// `GET /v3/{project_id}/organization-policies`
#[tracing::instrument(name = "api.organization_policies.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let operation = query
        .word("operation_type", PolicyOperation::from_str_exact)?
        .ok_or_else(|| ApiError::invalid("operation_type", "backup or replication is needed"))?;
    let page = query.page()?;
    let found = api.services.organization_policies.list(&access, operation, page).await?;
    let domain = &access.caller().domain;
    let policies = found.rows.into_iter().map(|row| OrganizationPolicy::new(row, domain)).collect();
    Ok(Json(Response { policies, count: found.total, limit: page.limit, offset: page.offset }))
}
