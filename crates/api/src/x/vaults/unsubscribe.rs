//! Ends the order of a prepaid vault (extension). In the contract's cloud the billing centre does that.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::audit::Event;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::x::trash::Started;

pub(crate) const OPERATION: Operation = Operation {
    name: "UnsubscribeVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/vaults/{vault_id}/unsubscribe",
    group: "Extensions",
    summary: "Ends the order of a prepaid vault: deletes it with everything in it; a task does it.",
    admission: Admission::Project,
    action: Some("cbr:vaults:delete"),
    event: Some(Event::new("deleteVault", "vault")),
    success: 202,
    query: &[],
    request: None,
    response: Some(schema_of::<Started>()),
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/x/vaults/{vault_id}/unsubscribe`
#[tracing::instrument(name = "api.x.vaults.unsubscribe", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let job_id = api.services.vaults.unsubscribe(&access, vault).await?.to_string();
    Ok((StatusCode::ACCEPTED, Json(Started { job_id })))
}
