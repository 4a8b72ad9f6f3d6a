//! `CreatePolicy` (contract C40).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::policies::NewPolicy;
use serde::Deserialize;
use utoipa::ToSchema;

use super::definition::Definition;
use super::show::Response;
use super::wire::{TriggerCreate, operation};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreatePolicy",
    verb: Verb::Post,
    path: "/v3/{project_id}/policies",
    group: "Policies",
    summary: "Creates a policy.",
    admission: Admission::Project,
    action: Some("cbr:policies:create"),
    event: Some(Event::new("createPolicy", "policy")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreatePolicyRequest)]
struct Request {
    policy: PolicyCreate,
}

/// A policy to be made.
#[derive(Debug, Deserialize, ToSchema)]
struct PolicyCreate {
    name: String,
    /// Default true.
    enabled: Option<bool>,
    /// `backup` or `replication`.
    operation_type: String,
    trigger: TriggerCreate,
    operation_definition: Definition,
}

/// `POST /v3/{project_id}/policies`
#[tracing::instrument(name = "api.policies.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.policy.read()?;
    let policy = api.services.policies.create(&access, wanted).await?.into();
    Ok(Json(Response { policy }))
}

impl PolicyCreate {
    fn read(self) -> Result<NewPolicy, ApiError> {
        Ok(NewPolicy {
            name: self.name,
            enabled: self.enabled.unwrap_or(true),
            operation: operation(&self.operation_type)?,
            trigger: self.trigger.into(),
            definition: self.operation_definition.into(),
        })
    }
}
