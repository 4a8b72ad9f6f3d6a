//! `CreateOrganizationPolicy` (contract C45): a sweep copies it into every project of the account.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::organization_policies::NewOrganizationPolicy;
use serde::Deserialize;
use utoipa::ToSchema;

use super::show::Response;
use super::wire::OrganizationPolicy;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::policies::definition::Definition;
use crate::v3::policies::wire::{TriggerCreate, operation};

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateOrganizationPolicy",
    verb: Verb::Post,
    path: "/v3/{project_id}/organization-policies",
    group: "Organization policies",
    summary: "Creates a policy for every project of the account.",
    admission: Admission::Project,
    action: Some("cbr:organizationPolicies:create"),
    event: Some(Event::new("createOrganizationPolicy", "organization_policy")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateOrganizationPolicyRequest)]
struct Request {
    policy: OrganizationPolicyCreate,
}

/// A policy of a whole account, to be made.
#[derive(Debug, Deserialize, ToSchema)]
struct OrganizationPolicyCreate {
    name: String,
    description: Option<String>,
    effective_scope: Option<String>,
    /// `backup` or `replication`.
    operation_type: String,
    /// Of the copies.
    policy_name: String,
    policy_enabled: bool,
    policy_operation_definition: Definition,
    policy_trigger: TriggerCreate,
}

/// `POST /v3/{project_id}/organization-policies`
#[tracing::instrument(name = "api.organization_policies.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let body = request.policy;
    let wanted = NewOrganizationPolicy {
        name: body.name,
        description: body.description,
        effective_scope: body.effective_scope,
        operation: operation(&body.operation_type)?,
        policy_enabled: body.policy_enabled,
        policy_name: body.policy_name,
        trigger: body.policy_trigger.into(),
        definition: body.policy_operation_definition.into(),
    };
    let policy = api.services.organization_policies.create(&access, wanted).await?;
    let policy = OrganizationPolicy::new(policy, &access.caller().domain);
    Ok(Json(Response { policy }))
}
