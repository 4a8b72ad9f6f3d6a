//! What the service says about its work: log lines on standard error, and metrics.
//!
//! Secrets have types that do not print themselves; nothing here needs to hide them.

use std::io::{self, IsTerminal};

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use cbr_env::Clock;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

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

/// Upper bounds of what is counted of durations, in seconds: from a request to a backup of a day.
const SECONDS: [f64; 17] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0,
    21_600.0, 86_400.0,
];
/// How often what was recorded is put into its counts.
const UPKEEP: Duration = Duration::from_secs(5);

/// Turns metrics on. To be called once. They take the same memory however long nobody asks for them, as
/// long as [`keep_up`] runs.
pub(crate) fn start_metrics() -> Result<PrometheusHandle> {
    builder()?.install_recorder().context("cannot start the metrics")
}

fn builder() -> Result<PrometheusBuilder> {
    PrometheusBuilder::new().set_buckets(&SECONDS).context("bad bounds of the metrics")
}

/// Counts what was recorded, until `stopping`: otherwise only somebody who asks for the metrics does,
/// and each value is kept until then.
pub(crate) async fn keep_up(
    metrics: PrometheusHandle,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = clock.sleep(UPKEEP) => metrics.run_upkeep(),
        }
    }
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

    /// Durations are counted, not collected.
    #[test]
    fn a_duration_is_a_count_below_bounds() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..1000 {
                metrics::histogram!("cbr_seconds").record(0.02);
            }
        });
        recorder.handle().run_upkeep();
        let text = recorder.handle().render();
        assert!(text.contains("cbr_seconds_bucket{le=\"0.025\"} 1000"), "{text}");
        assert!(!text.contains("quantile"), "{text}");
    }

    #[test]
    fn what_was_taken_back_is_not_rendered() {
        let text = "# TYPE age gauge\nage{resource=\"a\"} NaN\nage{resource=\"b\"} 6\n";
        assert_eq!(without_nan(text.into()), "# TYPE age gauge\nage{resource=\"b\"} 6\n");
        assert_eq!(without_nan("age 5\n".into()), "age 5\n");
    }

    /// Names of numbers in a text.
    fn names(text: &str) -> impl Iterator<Item = &str> {
        let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
        text.match_indices("cbr_").filter_map(move |(at, _)| {
            let is_whole = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let rest = &text[at..];
            let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
            is_whole.then_some(&rest[..end])
        })
    }

    /// All texts in a folder and those in it, without tests: those may call a number what they like.
    fn texts(folder: &std::path::Path, ending: &str, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("tests") {
                continue;
            }
            if path.is_dir() {
                texts(&path, ending, all);
            } else if path.extension().is_some_and(|found| found == ending) {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    fn root() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn sources() -> String {
        let mut sources = String::new();
        for part in ["api", "env", "provider", "service", "server", "store", "task"] {
            texts(&root().join("crates").join(part).join("src"), "rs", &mut sources);
        }
        sources
    }

    /// What the sources show and nobody explains would be no use to who looks for it.
    #[test]
    fn every_number_is_explained() {
        let (sources, mut explained) = (sources(), String::new());
        texts(&root().join("docs/operations"), "md", &mut explained);
        let explained: std::collections::BTreeSet<&str> = names(&explained).collect();
        let mut count = 0;
        for macro_name in ["counter!(", "gauge!(", "histogram!("] {
            for (at, _) in sources.match_indices(macro_name) {
                let rest = sources[at + macro_name.len()..].trim_start();
                // Others are named by constants, which the alerts and the dashboard use.
                let name = rest.strip_prefix("\"cbr_").and_then(|rest| rest.split('"').next());
                let Some(name) = name.map(|name| format!("cbr_{name}")) else { continue };
                // The one of a test in this file.
                let is_known = name == "cbr_seconds" || explained.contains(name.as_str());
                assert!(is_known, "{name} is not in docs/operations");
                count += 1;
            }
        }
        assert!(count >= 15, "only {count} numbers were found");
    }

    /// Alert rules, the dashboard and the documents name nothing that is not shown.
    #[test]
    fn every_number_of_rules_and_dashboard_is_exported() {
        let root = root();
        let (mut wanted, sources) = (String::new(), sources());
        texts(&root.join("deploy/prometheus"), "yml", &mut wanted);
        texts(&root.join("deploy/grafana"), "json", &mut wanted);
        texts(&root.join("docs/operations"), "md", &mut wanted);
        let mut count = 0;
        for name in names(&wanted) {
            assert!(sources.contains(&format!("\"{name}\"")), "{name} is shown by nobody");
            count += 1;
        }
        assert!(count >= 20, "only {count} names were found");
        assert!(!sources.contains(&["\"cbr_no", "_such\""].concat()));
    }
}
