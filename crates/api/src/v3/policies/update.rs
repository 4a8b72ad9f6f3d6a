//! `UpdatePolicy` (contract C43): only keys that are present are changed; the definition as a whole.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::policies::PolicyChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::definition::Definition;
use super::show::Response;
use super::wire::TriggerUpdate;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, PolicyInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdatePolicy",
    verb: Verb::Put,
    path: "/v3/{project_id}/policies/{policy_id}",
    group: "Policies",
    summary: "Changes what the body names.",
    admission: Admission::Project,
    action: Some("cbr:policies:update"),
    event: Some(Event::new("updatePolicy", "policy")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdatePolicyRequest)]
struct Request {
    policy: PolicyUpdate,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
struct PolicyUpdate {
    name: Option<String>,
    enabled: Option<bool>,
    trigger: Option<TriggerUpdate>,
    /// Takes the place of the whole definition.
    operation_definition: Option<Definition>,
}

/// `PUT /v3/{project_id}/policies/{policy_id}`
#[tracing::instrument(name = "api.policies.update", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<PolicyInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let change = PolicyChange {
        name: request.policy.name,
        enabled: request.policy.enabled,
        trigger: request.policy.trigger.map(Into::into),
        definition: request.policy.operation_definition.map(Into::into),
    };
    let policy = api.services.policies.update(&access, policy, change).await?.into();
    Ok(Json(Response { policy }))
}
