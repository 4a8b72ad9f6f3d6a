//! `CreateVault` (contract C1).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::vault::{self, ChargingMode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::new_vault::VaultCreate;
use super::order::Orders;
use super::wire::Vault;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults",
    group: "Vaults",
    summary: "Creates a vault; the answer about a prepaid one is its order.",
    admission: Admission::Project,
    action: Some("cbr:vaults:create"),
    event: Some(Event::new("createVault", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateVaultRequest)]
struct Request {
    vault: VaultCreate,
}

/// Body of the answer: the vault, or of a prepaid one the order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateVaultResponse)]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<NewVault>,
    #[serde(flatten)]
    orders: Option<Orders>,
}

/// A vault that was just made, with what only its maker is told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultCreated)]
struct NewVault {
    #[serde(flatten)]
    vault: Vault,
    backup_name_prefix: String,
    demand_billing: bool,
    frozen: bool,
    /// How often its order was cancelled.
    cbc_delete_count: u32,
}

/// `POST /v3/{project_id}/vaults`
#[tracing::instrument(name = "api.vaults.create", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.vault.read(ChargingMode::PostPaid)?;
    let vault = api.services.vaults.create(&access, wanted).await?;
    Ok(Json(match Orders::of(&vault) {
        None => Response { vault: Some(vault.into()), orders: None },
        orders => Response { vault: None, orders },
    }))
}

impl From<vault::Vault> for NewVault {
    fn from(vault: vault::Vault) -> Self {
        Self {
            backup_name_prefix: vault.backup_name_prefix.clone(),
            demand_billing: vault.charging.demand_billing,
            frozen: vault.status == vault::VaultStatus::Frozen,
            cbc_delete_count: 0,
            vault: vault.into(),
        }
    }
}
