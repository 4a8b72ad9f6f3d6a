//! `ShowOrganizationPolicy` (contract C47).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::OrganizationPolicy;
use crate::error::ApiError;
use crate::extract::{Authorised, OrganizationPolicyInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowOrganizationPolicy",
    verb: Verb::Get,
    path: "/v3/{project_id}/organization-policies/{organization_policy_id}",
    group: "Organization policies",
    summary: "Shows a policy of the account.",
    admission: Admission::Project,
    action: Some("cbr:organizationPolicies:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowOrganizationPolicyResponse)]
pub(super) struct Response {
    pub(super) policy: OrganizationPolicy,
}

/// `GET /v3/{project_id}/organization-policies/{organization_policy_id}`
#[tracing::instrument(name = "api.organization_policies.show", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<OrganizationPolicyInPath>,
) -> Result<Json<Response>, ApiError> {
    let policy = api.services.organization_policies.show(&access, policy).await?;
    let policy = OrganizationPolicy::new(policy, &access.caller().domain);
    Ok(Json(Response { policy }))
}
