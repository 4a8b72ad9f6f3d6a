//! `ChangeVaultChargeMode` (contract C67).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::VaultId;
use cbr_model::audit::Event;
use cbr_service::vaults::Prepaid;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::OrderResponseBody;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::new_vault::period;

pub(crate) const OPERATION: Operation = Operation {
    name: "ChangeVaultChargeMode",
    verb: Verb::Post,
    path: "/v3/{project_id}/vaults/change-charge-mode",
    group: "Orders",
    summary: "Makes vaults that are charged by use prepaid, all or none.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("changeVaultChargeMode", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<OrderResponseBody>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request. `console_url` is read by nobody.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChangeVaultChargeModeRequest)]
struct Request {
    /// 1 to 60.
    vault_ids: Vec<String>,
    /// `pre_paid`.
    charging_mode: String,
    /// `month` or `year`.
    period_type: String,
    /// 1 to 9 months or 1 to 5 years.
    period_num: i64,
    is_auto_renew: Option<bool>,
    /// Whether it is paid at once, where orders are charged; otherwise it waits to be paid.
    is_auto_pay: Option<bool>,
}

/// `POST /v3/{project_id}/vaults/change-charge-mode`
#[tracing::instrument(name = "api.orders.make_prepaid", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<OrderResponseBody>, ApiError> {
    if request.charging_mode != "pre_paid" {
        return Err(ApiError::invalid("charging_mode", "only pre_paid; there is no way back"));
    }
    let prepaid = Prepaid {
        period: period(Some(&request.period_type), Some(request.period_num))?,
        auto_renew: request.is_auto_renew.unwrap_or(false),
        auto_pay: request.is_auto_pay.unwrap_or(false),
    };
    let vaults: Vec<VaultId> = request
        .vault_ids
        .iter()
        .map(|id| id_of(id, ErrorCode::VaultNotFound))
        .collect::<Result<_, _>>()?;
    let order = api.services.vaults.make_prepaid(&access, vaults, prepaid).await?;
    Ok(Json(OrderResponseBody::done(order)))
}
