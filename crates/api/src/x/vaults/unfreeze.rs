//! Lifts what froze a vault (extension; VLT-54).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::show::Response;

pub(crate) const OPERATION: Operation = Operation {
    name: "UnfreezeVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/vaults/{vault_id}/unfreeze",
    group: "Extensions",
    summary: "Makes a frozen vault available again. For administrators.",
    admission: Admission::Project,
    action: Some("cbr:vaults:freeze"),
    event: Some(Event::new("unfreezeVault", "vault")),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/x/vaults/{vault_id}/unfreeze`
#[tracing::instrument(name = "api.x.vaults.unfreeze", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
) -> Result<Json<Response>, ApiError> {
    let vault = api.services.vaults.unfreeze(&access, vault).await?;
    Ok(Json(Response::from(vault)))
}
