//! Monitoring: how full vaults are, over time (MON).

mod custom;
mod gauges;
mod metrics;
mod pools;
mod requests;
mod sampler;
mod service;

pub use cbr_db::PublishedMetric;
pub(crate) use metrics::all_vaults;
pub use requests::{MetricKey, MetricQuery, MonitorOptions, Series};
pub use service::Monitoring;
