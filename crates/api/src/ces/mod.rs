//! The monitoring service: how full vaults are (contract F.6).

pub(crate) mod batch_query;
pub(crate) mod list_metrics;
pub(crate) mod metric_data;
mod wire;
