//! `ShowPolicy` (contract C42).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Policy;
use crate::error::ApiError;
use crate::extract::{Authorised, PathId, PolicyInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowPolicy",
    verb: Verb::Get,
    path: "/v3/{project_id}/policies/{policy_id}",
    group: "Policies",
    summary: "Shows a policy with the vaults it is bound to.",
    admission: Admission::Project,
    action: Some("cbr:policies:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowPolicyResponse)]
pub(super) struct Response {
    pub(super) policy: Policy,
}

/// `GET /v3/{project_id}/policies/{policy_id}`
#[tracing::instrument(name = "api.policies.show", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<PolicyInPath>,
) -> Result<Json<Response>, ApiError> {
    let policy = api.services.policies.show(&access, policy).await?.into();
    Ok(Json(Response { policy }))
}
