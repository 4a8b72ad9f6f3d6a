//! Monitoring: how full vaults are, over time (MON).

mod metrics;
mod requests;
mod sampler;
mod service;

pub use requests::{MetricKey, MetricQuery, MonitorOptions, Series};
pub use service::Monitoring;
