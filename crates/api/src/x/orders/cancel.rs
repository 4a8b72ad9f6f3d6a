//! Gives up an order that is not paid (extension; BIL-08).

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::on;
use cbr_model::audit::Event;

use super::wire::Lines;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, id_of};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CancelOrder",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/orders/{order_id}/cancel",
    group: "Extensions",
    summary: "Gives up an order that is not paid. A vault that it was to make is gone.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("cancelOrder", "vault")),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Lines>()),
    mount: |filter| on(filter, handle),
};

/// `POST /v3/{project_id}/x/orders/{order_id}/cancel`
#[tracing::instrument(name = "api.x.orders.cancel", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    Path((_, order)): Path<(String, String)>,
) -> Result<Json<Lines>, ApiError> {
    let order = id_of(&order, ErrorCode::OrderNotFound)?;
    Ok(Json(Lines::from(api.services.billing.cancel(&access, order).await?)))
}
