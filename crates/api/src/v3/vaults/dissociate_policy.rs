//! `DisassociateVaultPolicy` (contract C13): what it started goes on; backups stay.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::VaultPolicy;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DisassociateVaultPolicy",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/{vault_id}/dissociatepolicy",
    group: "Vaults",
    summary: "Takes a policy off a vault.",
    admission: Admission::Project,
    action: Some("cbr:vaults:dissociatePolicy"),
    event: Some(Event::new("dissociatePolicy", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = DisassociateVaultPolicyRequest)]
struct Request {
    policy_id: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DisassociateVaultPolicyResponse)]
struct Response {
    dissociate_policy: VaultPolicy,
}

/// `POST /v3/{project_id}/vaults/{vault_id}/dissociatepolicy`
#[tracing::instrument(name = "api.vaults.dissociate_policy", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let policy = id_of(&request.policy_id, ErrorCode::PolicyNotFound)?;
    api.services.policies.unbind(&access, vault, policy).await?;
    Ok(Json(Response { dissociate_policy: VaultPolicy::new(vault, policy, None) }))
}
