//! `UpdateOrder` (contract C66): the older form of `ChangeOrder`, with other spellings.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::vaults::OrderChange;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::{Product, change};
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JsonBody, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "UpdateOrder",
    verb: Verb::Put,
    path: "/v3/{project_id}/orders/{order_id}",
    group: "Orders",
    summary: "Changes capacity or specification of the vault of an order.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("updateOrder", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request. `consoleUrl` and `promotionInfo` are read by nobody.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateOrderRequest)]
#[serde(rename_all = "camelCase")]
struct Request {
    /// The vault.
    resource_id: String,
    product_info: ProductInfo,
    /// Whether it is paid at once, where orders are charged; otherwise it waits to be paid.
    is_auto_pay: Option<bool>,
}

/// What shall be different.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateOrderProductInfo)]
#[serde(rename_all = "camelCase")]
struct ProductInfo {
    /// Kept with the order; means nothing here.
    product_id: String,
    /// GB, the new total.
    resource_size: i64,
    /// 17: GB.
    resource_size_measure_id: Option<i64>,
    resource_spec_code: String,
}

/// Body of the answer; here the code is a text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdateOrderResponse)]
#[serde(rename_all = "camelCase")]
struct Response {
    order_id: String,
    ret_code: &'static str,
    ret_msg: &'static str,
}

/// `PUT /v3/{project_id}/orders/{order_id}`
#[tracing::instrument(name = "api.orders.update", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    Path((_, order)): Path<(String, String)>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let info = request.product_info;
    let product = Product {
        id: info.product_id,
        size: info.resource_size,
        unit: info.resource_size_measure_id,
        specification: info.resource_spec_code,
    };
    let order = Some(id_of(&order, ErrorCode::OrderNotFound)?);
    let auto_pay = request.is_auto_pay.unwrap_or(false);
    let wanted = OrderChange { order, auto_pay, ..change(request.resource_id, product)? };
    let order = api.services.vaults.change_order(&access, wanted).await?;
    Ok(Json(Response { order_id: order.to_string(), ret_code: "0", ret_msg: "success" }))
}
