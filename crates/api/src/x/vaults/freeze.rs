//! Freezes a vault (extension; VLT-54): an administrator bars it, and says why.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::show::Response;

pub(crate) const OPERATION: Operation = Operation {
    name: "FreezeVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/vaults/{vault_id}/freeze",
    group: "Extensions",
    summary: "Freezes a vault: until it is unfrozen it takes no backups and gives none back. For administrators.",
    admission: Admission::Project,
    action: Some("cbr:vaults:freeze"),
    event: Some(Event::new("freezeVault", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = FreezeVaultRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Why, in a word: 1 to 64 letters, digits, `_` and `-`; shown as `frozen_scene`.
    scene: String,
}

/// `POST /v3/{project_id}/x/vaults/{vault_id}/freeze`
#[tracing::instrument(name = "api.x.vaults.freeze", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let vault = api.services.vaults.freeze(&access, vault, &request.scene).await?;
    Ok(Json(Response::from(vault)))
}
