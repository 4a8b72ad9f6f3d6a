//! Says whether a prepaid vault's period is renewed when it ends (extension; BIL-03).

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
    name: "SetVaultAutoRenew",
    verb: Verb::Put,
    path: "/v3/{project_id}/x/vaults/{vault_id}/auto-renew",
    group: "Extensions",
    summary: "Says whether the period of a prepaid vault is renewed when it ends.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("setVaultAutoRenew", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SetVaultAutoRenewRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// By a month if it was last ordered by months, by a year if by years.
    is_auto_renew: bool,
}

/// `PUT /v3/{project_id}/x/vaults/{vault_id}/auto-renew`
#[tracing::instrument(name = "api.x.vaults.auto_renew", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let enabled = request.is_auto_renew;
    let vault = api.services.billing.set_auto_renew(&access, vault, enabled).await?;
    Ok(Json(Response::from(vault)))
}
