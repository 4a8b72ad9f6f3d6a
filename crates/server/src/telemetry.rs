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

/// All metrics in the Prometheus text format, without those that have been taken back.
pub(crate) fn rendered(metrics: &PrometheusHandle) -> String {
    without_nan(metrics.render())
}

/// A recorder forgets no metric; one of something that is gone is set to NaN.
fn without_nan(text: String) -> String {
    if !text.contains(" NaN\n") {
        return text;
    }
    text.split_inclusive('\n').filter(|line| !line.ends_with(" NaN\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_is_not_rendered() {
        let text = "# TYPE age gauge\nage{resource=\"a\"} NaN\nage{resource=\"b\"} 6\n";
        assert_eq!(without_nan(text.into()), "# TYPE age gauge\nage{resource=\"b\"} 6\n");
        assert_eq!(without_nan("age 5\n".into()), "age 5\n");
    }
}
