//! `ListOrganizationPolicyDetail` (contract C50): how far each project of the account is.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, OrganizationPolicyInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListOrganizationPolicyDetail",
    verb: Verb::Get,
    path: "/v3/{project_id}/organization-policies/{organization_policy_id}/policy-detail",
    group: "Organization policies",
    summary: "Shows how far each project of the account is.",
    admission: Admission::Project,
    action: Some("cbr:organizationPolicies:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer: always the whole list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListOrganizationPolicyDetailResponse)]
struct Response {
    policies: Vec<OrganizationPolicyStatus>,
    count: u64,
    limit: u64,
    offset: u64,
}

/// How far a project is.
#[derive(Debug, Serialize, ToSchema)]
struct OrganizationPolicyStatus {
    domain_id: String,
    project_id: String,
    /// The project's copy; while that is `syncing` it may not be there yet.
    policy_id: String,
    /// `syncing` or `available`.
    status: &'static str,
}

/// `GET /v3/{project_id}/organization-policies/{organization_policy_id}/policy-detail`
#[tracing::instrument(name = "api.organization_policies.detail", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<OrganizationPolicyInPath>,
) -> Result<Json<Response>, ApiError> {
    let copies = api.services.organization_policies.copies(&access, policy).await?;
    let domain = access.caller().domain.id;
    let count = copies.len() as u64;
    let policies = copies
        .into_iter()
        .map(|copy| OrganizationPolicyStatus {
            domain_id: domain.to_string(),
            project_id: copy.project.to_string(),
            policy_id: copy.policy.to_string(),
            status: copy.status.as_str(),
        })
        .collect();
    Ok(Json(Response { policies, count, limit: count, offset: 0 }))
}
