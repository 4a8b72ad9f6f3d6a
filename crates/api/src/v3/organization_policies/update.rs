//! `UpdateOrganizationPolicy` (contract C48): a sweep changes the copies.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::organization_policies::OrganizationPolicyChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use super::wire::OrganizationPolicy;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, OrganizationPolicyInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::policies::definition::Definition;
use crate::v3::policies::wire::TriggerUpdate;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateOrganizationPolicy",
    verb: Verb::Put,
    path: "/v3/{project_id}/organization-policies/{organization_policy_id}",
    group: "Organization policies",
    summary: "Changes what the body names, in every project of the account.",
    admission: Admission::Project,
    action: Some("cbr:organizationPolicies:update"),
    event: Some(Event::new("updateOrganizationPolicy", "organization_policy")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateOrganizationPolicyRequest)]
struct Request {
    policy: OrganizationPolicyUpdate,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
struct OrganizationPolicyUpdate {
    name: Option<String>,
    description: Option<String>,
    effective_scope: Option<String>,
    policy_name: Option<String>,
    policy_enabled: Option<bool>,
    /// Takes the place of the whole definition.
    policy_operation_definition: Option<Definition>,
    policy_trigger: Option<TriggerUpdate>,
}

/// `PUT /v3/{project_id}/organization-policies/{organization_policy_id}`
#[tracing::instrument(name = "api.organization_policies.update", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<OrganizationPolicyInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let body = request.policy;
    let change = OrganizationPolicyChange {
        name: body.name,
        description: body.description,
        effective_scope: body.effective_scope,
        policy_enabled: body.policy_enabled,
        policy_name: body.policy_name,
        trigger: body.policy_trigger.map(Into::into),
        definition: body.policy_operation_definition.map(Into::into),
    };
    let policy = api.services.organization_policies.update(&access, policy, change).await?;
    let policy = OrganizationPolicy::new(policy, &access.caller().domain);
    Ok(Json(Response { policy }))
}
