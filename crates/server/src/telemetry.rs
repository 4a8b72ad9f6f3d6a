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

/// All metrics in the Prometheus text format, without those that have been taken back: a recorder
/// forgets none, so what there is no more has the value NaN.
pub(crate) fn rendered(metrics: &PrometheusHandle) -> String {
    let mut text = metrics.render();
    if text.contains(" NaN\n") {
        text = text.split_inclusive('\n').filter(|line| !line.ends_with(" NaN\n")).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_is_not_rendered() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::gauge!("age", "resource" => "a").set(5.0);
            metrics::gauge!("age", "resource" => "b").set(6.0);
            metrics::gauge!("age", "resource" => "a").set(f64::NAN);
        });
        let text = rendered(&handle);
        assert!(text.contains(r#"age{resource="b"} 6"#), "{text}");
        assert!(!text.contains(r#"resource="a""#), "{text}");
    }
}
