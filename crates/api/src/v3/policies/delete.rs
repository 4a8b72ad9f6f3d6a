//! `DeletePolicy` (contract C44): takes it off its vaults; all backups stay.

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, PolicyInPath};
use crate::operation::{Admission, Operation, Verb};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeletePolicy",
    verb: Verb::Delete,
    path: "/v3/{project_id}/policies/{policy_id}",
    group: "Policies",
    summary: "Deletes a policy; backups stay.",
    admission: Admission::Project,
    action: Some("cbr:policies:delete"),
    event: Some(Event::new("deletePolicy", "policy")),
    success: 204,
    query: &[],
    request: None,
    response: None,
    mount: |filter| on(filter, handle),
};

/// `DELETE /v3/{project_id}/policies/{policy_id}`
#[tracing::instrument(name = "api.policies.delete", skip_all, fields(policy.id = %policy))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(policy): PathId<PolicyInPath>,
) -> Result<(), ApiError> {
    api.services.policies.delete(&access, policy).await?;
    Ok(())
}
