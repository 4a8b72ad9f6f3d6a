//! `cbr vault metrics`: how full a vault was over time.

use std::fmt::Display;

use chrono::{DateTime, SecondsFormat};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::Show;
use crate::text::{Lang, texts};

texts! {
    what_metrics(vault) "cannot read how full vault `{vault}` was" | "无法读取存储库 `{vault}` 的监控数据";
    col_time() "TIME" | "时间";
    col_used_gb() "USED GB" | "已用 GB";
    col_usage() "USAGE %" | "使用率 %";
    col_raw_usage() "RAW %" | "实际比例 %";
}

/// The namespace and names of the metrics, in the order of the columns.
const NAMESPACE: &str = "SYS.CBR";
const METRICS: [&str; 3] = ["used_vault_size", "vault_util", "vault_util_raw"];

#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    /// Name or id
    vault: String,
    /// For the last hours
    #[arg(long, value_name = "N", default_value_t = 24,
          value_parser = clap::value_parser!(u32).range(1..=43_800))]
    hours: u32,
    /// One value for so many seconds; 1: as it was measured, every 15 minutes
    #[arg(long, value_name = "SECONDS", default_value = "1",
          value_parser = ["1", "300", "1200", "3600", "14400", "86400"])]
    period: String,
    /// Which value of each period
    #[arg(long, value_enum, default_value_t)]
    filter: Filter,
}

/// Which value of each period is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Filter {
    /// The mean
    Average,
    /// The largest
    #[default]
    Max,
    /// The smallest
    Min,
}

impl Filter {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// Runs it.
pub(super) async fn run(session: &Session, args: MetricsArgs) -> Result<(), Failure> {
    let output = session.output;
    let id = session.find_id(Noun::Vault, &args.vault).await?;
    let now = session.client.clock().now().seconds();
    let metric = |name: &str| {
        json!({"namespace": NAMESPACE, "metric_name": name,
               "dimensions": [{"name": "instance_id", "value": id}]})
    };
    let body = json!({
        "metrics": METRICS.map(metric),
        "period": args.period,
        "filter": args.filter.as_str(),
        "from": (now - i64::from(args.hours) * 3600) * 1000,
        "to": now * 1000,
    });
    let path = format!("/V1.0/{}/batch-query-metric-data", session.client.project());
    let answer = session.client.post(&path, &body).await;
    let answer = answer.map_err(session.failed(output.lang.what_metrics(&args.vault)))?;
    output.list(&rows(&answer, args.filter), &columns(output.lang))
}

/// One row for each time, with a value of each metric.
fn rows(answer: &Value, filter: Filter) -> Vec<Value> {
    let series = wire::items(answer, "/metrics");
    let points = |at: usize| series.get(at).map_or(&[][..], |one| wire::items(one, "/datapoints"));
    let row = |point: &Value| {
        let mut row = json!({"timestamp": point["timestamp"]});
        for (at, name) in METRICS.iter().enumerate() {
            let same = points(at).iter().find(|other| other["timestamp"] == point["timestamp"]);
            row[*name] = same.map_or(Value::Null, |other| other[filter.as_str()].clone());
        }
        row
    };
    points(0).iter().map(row).collect()
}

fn columns(lang: Lang) -> [(String, Show); 4] {
    let time = |row: &Value| {
        let millis = row["timestamp"].as_i64().unwrap_or_default();
        let at = DateTime::from_timestamp_millis(millis).unwrap_or_default();
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    [
        (lang.col_time(), Show::With(time)),
        (lang.col_used_gb(), Show::With(|row| number(row, METRICS[0]))),
        (lang.col_usage(), Show::With(|row| number(row, METRICS[1]))),
        (lang.col_raw_usage(), Show::With(|row| number(row, METRICS[2]))),
    ]
}

fn number(row: &Value, key: &str) -> String {
    row[key].as_f64().map_or_else(String::new, |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MON-05: values of one time stand in one row.
    #[test]
    fn values_are_put_together_by_their_time() {
        let answer = json!({"metrics": [
            {"datapoints": [{"max": 1.5, "timestamp": 1}, {"max": 2.0, "timestamp": 2}]},
            {"datapoints": [{"max": 15.0, "timestamp": 1}]},
            {"datapoints": []},
        ]});
        let rows = rows(&answer, Filter::Max);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["vault_util"], 15.0);
        assert!(rows[1]["vault_util"].is_null());
        assert_eq!(
            (number(&rows[0], "vault_util"), number(&rows[1], "x")),
            ("15.00".into(), String::new())
        );
    }
}
