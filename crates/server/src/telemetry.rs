//! What the service says about its work: log lines on standard error, and metrics.
//!
//! Secrets have types that do not print themselves; nothing here needs to hide them.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result, anyhow};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::config::{LogConfig, LogFormat};

/// Turns log lines on. To be called once.
pub(crate) fn start_log(config: &LogConfig) -> Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(config.filter()?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!(error)).context("cannot start the log")
}

/// Turns metrics on. To be called once.
pub(crate) fn start_metrics() -> Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().context("cannot start the metrics")
}
