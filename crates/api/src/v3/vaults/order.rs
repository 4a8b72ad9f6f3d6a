//! `CreatePostPaidVault` (contract C2): despite its name, it orders a prepaid vault.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::vault::{ChargingMode, Vault, VaultStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::new_vault::VaultCreate;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreatePostPaidVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/order",
    group: "Vaults",
    summary: "Orders a prepaid vault. It exists at once, and is frozen until the order is paid if it must be.",
    admission: Admission::Project,
    action: Some("cbr:vaults:create"),
    event: Some(Event::new("createVault", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Orders>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreatePostPaidVaultRequest)]
struct Request {
    vault: VaultCreate,
}

/// What was ordered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultOrders)]
pub(super) struct Orders {
    orders: Vec<Order>,
    /// 0: it was done.
    #[serde(rename = "retCode")]
    code: u32,
    #[serde(rename = "errText")]
    text: &'static str,
    error_code: &'static str,
}

/// One order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultOrder)]
#[serde(rename_all = "camelCase")]
struct Order {
    cloud_service_id: &'static str,
    order_id: String,
    /// Id of the vault.
    resource_id: String,
    /// 1: it was done; 0: it waits to be paid.
    subscribe_result: u32,
}

/// `POST /v3/{project_id}/vaults/order`
#[tracing::instrument(name = "api.vaults.order", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Orders>, ApiError> {
    let wanted = request.vault.read(ChargingMode::PrePaid)?;
    if wanted.prepaid.is_none() {
        return Err(ApiError::invalid("charging_mode", "only pre_paid vaults are ordered"));
    }
    let vault = api.services.vaults.create(&access, wanted).await?;
    Orders::of(&vault).map(Json).ok_or_else(ApiError::unknown)
}

impl Orders {
    /// The order by which a vault was just made; none: it is charged by use.
    pub(super) fn of(vault: &Vault) -> Option<Self> {
        let order = Order {
            cloud_service_id: "cbr",
            order_id: vault.charging.order?.to_string(),
            resource_id: vault.id.to_string(),
            subscribe_result: u32::from(vault.status == VaultStatus::Available),
        };
        Some(Self { orders: vec![order], code: 0, text: "success", error_code: "0" })
    }
}
