//! Lists orders with their states and periods (extension; BIL-08).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Order;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListOrders",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/orders",
    group: "Extensions",
    summary: "Lists orders of the project, newest first: one for each vault of an order.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[
        parameter("vault_id", Form::Text, "Only of this vault; it may be gone."),
        parameter("offset", Form::Integer, "So many are left out."),
        parameter("limit", Form::Integer, "At most so many; default and maximum 1000."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListOrdersResponse)]
struct Response {
    orders: Vec<Order>,
    /// Without paging.
    count: u64,
}

/// `GET /v3/{project_id}/x/orders`
#[tracing::instrument(name = "api.x.orders.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let vault = query.value("vault_id")?;
    let (orders, count) = api.services.billing.orders(&access, vault, query.page()?).await?;
    Ok(Json(Response { orders: orders.into_iter().map(Order::from).collect(), count }))
}
