//! `DeleteOrganizationPolicy` (contract C49): copies that are bound to vaults stay, as the project's own.

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use crate::error::ApiError;
use crate::extract::{Authorised, OrganizationPolicyInPath, PathId};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteOrganizationPolicy",
    verb: Verb::Delete,
    path: "/v3/{project_id}/organization-policies/{organization_policy_id}",
    group: "Organization policies",
    summary: "Deletes a policy of the account and those of its copies that are bound to no vault.",
    admission: Admission::Project,
    action: Some("cbr:organizationPolicies:delete"),
    event: Some(Event::new("deleteOrganizationPolicy", "organization_policy")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/organization-policies/{organization_policy_id}`
#[tracing::instrument(name = "api.organization_policies.delete", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<OrganizationPolicyInPath>,
) -> Result<(), ApiError> {
    api.services.organization_policies.delete(&access, policy).await?;
    Ok(())
}
