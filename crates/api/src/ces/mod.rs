//! The monitoring service: how full vaults are (contract F.6).

pub(crate) mod alarms;
mod alarms_page;
pub(crate) mod batch_query;
mod conditions;
pub(crate) mod history;
mod ids;
pub(crate) mod list_metrics;
pub(crate) mod metric_data;
pub(crate) mod publish;
pub(crate) mod row;
pub(crate) mod rules;
pub(crate) mod templates;
mod wire;
