//! `ChangeOrder` (contract C65).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::vaults::OrderChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::{OrderResponseBody, product, specification};
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::new_vault::size;

pub(crate) const OPERATION: Operation = Operation {
    name: "ChangeOrder",
    verb: Verb::Post,
    path: "/v3/{project_id}/orders/change",
    group: "Orders",
    summary: "Changes capacity or specification of a prepaid vault.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("updateOrder", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<OrderResponseBody>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request. `console_url` and `promotion_info` are read by nobody.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChangeOrderRequest)]
struct Request {
    /// The vault.
    resource_id: String,
    product_info: ProductInfo,
    /// Whether it is paid at once, where orders are charged; otherwise it waits to be paid.
    is_auto_pay: Option<bool>,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OrderProductInfo)]
struct ProductInfo {
    /// Kept with the order; means nothing here.
    product_id: String,
    /// GB, the new total.
    resource_size: i64,
    /// 17: GB.
    resource_size_measure_id: Option<i64>,
    resource_spec_code: String,
}

/// `POST /v3/{project_id}/orders/change`
#[tracing::instrument(name = "api.orders.change", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<OrderResponseBody>, ApiError> {
    let auto_pay = request.is_auto_pay.unwrap_or(false);
    let wanted =
        OrderChange { auto_pay, ..change(request.resource_id, request.product_info.into())? };
    let order = api.services.vaults.change_order(&access, wanted).await?;
    Ok(Json(OrderResponseBody::done(order)))
}

/// The product of an order, whichever way its keys are written.
pub(super) struct Product {
    pub(super) id: String,
    pub(super) size: i64,
    pub(super) unit: Option<i64>,
    pub(super) specification: String,
}

impl From<ProductInfo> for Product {
    fn from(info: ProductInfo) -> Self {
        Self {
            id: info.product_id,
            size: info.resource_size,
            unit: info.resource_size_measure_id,
            specification: info.resource_spec_code,
        }
    }
}

/// What is asked for, without an order.
pub(super) fn change(vault: String, wanted: Product) -> Result<OrderChange, ApiError> {
    if wanted.unit.is_some_and(|unit| unit != 17) {
        return Err(ApiError::invalid("resource_size_measure_id", "17, which is GB"));
    }
    Ok(OrderChange {
        vault: id_of(&vault, ErrorCode::VaultNotFound)?,
        order: None,
        product: product(wanted.id)?,
        size: size(wanted.size)?,
        specification: specification(&wanted.specification)?,
        auto_pay: false,
    })
}
