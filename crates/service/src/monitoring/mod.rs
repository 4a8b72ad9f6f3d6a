//! Monitoring: how full vaults are, over time (MON).

mod gauges;
mod metrics;
mod requests;
mod sampler;
mod service;

pub(crate) use metrics::all_vaults;
pub use requests::{MetricKey, MetricQuery, MonitorOptions, Series};
pub use service::Monitoring;
