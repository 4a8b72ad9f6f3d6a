//! An order on the wire.

use cbr_model::order;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// What an order says of one vault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub(crate) struct Order {
    /// The same for all vaults of one order.
    order_id: String,
    vault_id: String,
    /// `create`, `change`, `to_prepaid` or `renew`.
    kind: &'static str,
    /// `unpaid`, `completed` or `cancelled`.
    status: &'static str,
    /// GB
    size: u64,
    consistent_level: &'static str,
    product_id: Option<String>,
    /// `month` or `year`.
    period_type: Option<&'static str>,
    period_num: Option<u8>,
    is_auto_renew: bool,
    /// What it costs, of this vault: minor units.
    amount: i64,
    /// When its period begins and ends.
    begins_at: Option<String>,
    ends_at: Option<String>,
    created_at: String,
}

/// Body of answers about one order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderLinesResponse)]
pub(crate) struct Lines {
    /// One for each of its vaults.
    pub(crate) orders: Vec<Order>,
}

impl From<Vec<order::Order>> for Lines {
    fn from(orders: Vec<order::Order>) -> Self {
        Self { orders: orders.into_iter().map(Order::from).collect() }
    }
}

impl From<order::Order> for Order {
    fn from(order: order::Order) -> Self {
        Self {
            order_id: order.id.to_string(),
            vault_id: order.vault.to_string(),
            kind: order.kind.as_str(),
            status: order.status.as_str(),
            size: order.size.0,
            consistent_level: order.consistency.as_str(),
            product_id: order.product,
            period_type: order.period.map(|period| period.unit().as_str()),
            period_num: order.period.map(order::Period::count),
            is_auto_renew: order.auto_renew,
            amount: order.amount.0,
            begins_at: order.begins_at.map(time::format),
            ends_at: order.ends_at.map(time::format),
            created_at: time::format(order.created_at),
        }
    }
}
