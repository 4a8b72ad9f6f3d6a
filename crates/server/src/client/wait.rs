//! Following tasks until they end.
//!
//! The tasks run in the service: stopping to wait stops nothing, and a service
//! that is away for a moment (a restart) is waited for.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::progress::Progress;
use super::transport::{Client, Query};
use super::wire;
use crate::failure::{Failure, Kind};
use crate::output::Output;

/// How long a service may be away while it is waited for.
const AWAY_MICROS_MAX: u64 = 120_000_000;
/// How often a line is written where nobody watches a bar.
const LINE_EVERY_MICROS: u64 = 5_000_000;

/// How a wait may end besides the tasks' end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::Args)]
pub(crate) struct WaitArgs {
    /// Do not wait for the end; answer with the ids of the tasks
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Give up waiting after this many seconds (the work goes on)
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_wait")]
    pub(crate) timeout: Option<u64>,
}

/// Follows these tasks until all have ended; answers with their last states, in the same order.
///
/// A task that did not succeed makes the whole a failure.
pub(crate) async fn tasks(
    client: &Client,
    output: Output,
    ids: &[String],
    args: WaitArgs,
) -> Result<Vec<Value>, Failure> {
    let board = Board::new(output, ids.len());
    concluded(output, ids, follow((client, Progress::asked(client, ids)), board, ids, args)).await
}

/// As [`tasks`], and listens to the service while it waits; for programs every change is a line of JSON.
pub(crate) async fn watched(
    client: &Client,
    output: Output,
    ids: &[String],
    args: WaitArgs,
) -> Result<Vec<Value>, Failure> {
    let board = Board { writes_json: output.is_json(), ..Board::new(output, ids.len()) };
    concluded(output, ids, follow((client, Progress::told(client, ids)), board, ids, args)).await
}

/// Passes on what following came to, or that somebody did not want to wait for it.
async fn concluded(
    output: Output,
    ids: &[String],
    follow: impl Future<Output = Result<Vec<Value>, Failure>>,
) -> Result<Vec<Value>, Failure> {
    let lang = output.lang;
    tokio::select! {
        logs = follow => {
            let logs = logs?;
            match logs.iter().find(|log| wire::text(log, "/status") != "success") {
                Some(failed) => Err(failure_of(failed, output)),
                None => Ok(logs),
            }
        }
        _ = tokio::signal::ctrl_c() => {
            Err(Failure::new(Kind::Interrupted, lang.what_wait(), lang.why_interrupted())
                .with_next(lang.next_watch(ids.join(" "))))
        }
    }
}

async fn follow(
    (client, mut progress): (&Client, Progress<'_>),
    mut board: Board,
    ids: &[String],
    args: WaitArgs,
) -> Result<Vec<Value>, Failure> {
    let lang = board.output.lang;
    let started = client.clock().monotonic_micros();
    let mut logs: Vec<Value> = vec![Value::Null; ids.len()];
    let mut last_answer = started;
    loop {
        if logs.iter().all(is_final) {
            board.finish(&logs, client.clock().monotonic_micros() - started);
            return Ok(logs);
        }
        let waited = client.clock().monotonic_micros() - started;
        if args.timeout.is_some_and(|seconds| waited > seconds.saturating_mul(1_000_000)) {
            return Err(Failure::new(Kind::TimedOut, lang.what_wait(), lang.why_timeout())
                .with_next(lang.next_watch(ids.join(" "))));
        }
        match progress.next(|index| !is_final(&logs[index])).await {
            Ok(news) => {
                last_answer = client.clock().monotonic_micros();
                for (index, log) in news {
                    board.update(client, index, &log, last_answer).await?;
                    logs[index] = log;
                }
            }
            Err(error) if error.is_transient() => {
                let away = client.clock().monotonic_micros() - last_answer;
                if away > AWAY_MICROS_MAX {
                    return Err(error
                        .failure(lang, lang.what_wait())
                        .with_next(lang.next_watch(ids.join(" "))));
                }
            }
            Err(error) => return Err(error.failure(lang, lang.what_wait())),
        }
    }
}

/// Whether nothing will change any more.
pub(crate) fn is_final(log: &Value) -> bool {
    matches!(wire::text(log, "/status").as_str(), "success" | "failed" | "timeout" | "skipped")
}

fn failure_of(log: &Value, output: Output) -> Failure {
    let lang = output.lang;
    let what = lang.what_task_failed(
        wire::text(log, "/operation_type"),
        wire::text(log, "/extra_info/resource/name"),
    );
    let mut failure = Failure::new(Kind::Failed, what, wire::text(log, "/error_info/message"))
        .with_next(lang.next_task_failed(wire::text(log, "/id")));
    failure.code = Some(wire::text(log, "/error_info/code")).filter(|code| !code.is_empty());
    failure.request_id =
        Some(wire::text(log, "/extra_info/common/request_id")).filter(|id| !id.is_empty());
    failure
}

/// What is drawn of tasks: bars on a terminal, a line now and then elsewhere.
struct Board {
    output: Output,
    /// Every state becomes a line of JSON of the result, and nothing is drawn.
    writes_json: bool,
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    lines: Vec<(String, u64)>,
    /// Per task, once asked: what it works on, in bytes; 0 where that cannot be told.
    totals: Vec<Option<u64>>,
}

impl Board {
    fn new(output: Output, tasks: usize) -> Self {
        let bars = output.is_watched.then(|| {
            let all = MultiProgress::new();
            let bars = (0..tasks).map(|_| all.add(ProgressBar::new(100))).collect();
            (all, bars)
        });
        Self {
            output,
            writes_json: false,
            bars,
            lines: vec![(String::new(), 0); tasks],
            totals: vec![None; tasks],
        }
    }

    async fn update(
        &mut self,
        client: &Client,
        index: usize,
        log: &Value,
        now_micros: u64,
    ) -> Result<(), Failure> {
        if self.writes_json {
            return self.output.line(log);
        }
        // Asked once, when the first state is known.
        if self.totals[index].is_none() {
            self.totals[index] = Some(total_bytes(client, log).await.unwrap_or(0));
        }
        let total = self.totals[index].filter(|total| *total > 0);
        match &self.bars {
            Some((_, bars)) => draw(&bars[index], log, total),
            None => self.write(index, log, total, now_micros),
        }
        Ok(())
    }

    /// Takes the bars away and leaves a line for each task.
    fn finish(&self, logs: &[Value], micros: u64) {
        if self.writes_json {
            return;
        }
        let Some((all, _)) = &self.bars else { return };
        // What cannot be cleared stays: only looks.
        drop(all.clear());
        let seconds = micros as f64 / 1e6;
        for (log, total) in logs.iter().zip(&self.totals) {
            let total = total.filter(|total| *total > 0).map(crate::output::bytes);
            let total = total.map(|total| format!("  {total}")).unwrap_or_default();
            let status = wire::text(log, "/status");
            self.output.note(format_args!("{}: {status}{total}  {seconds:.1} s", title(log)));
        }
    }

    fn write(&mut self, index: usize, log: &Value, total: Option<u64>, now_micros: u64) {
        let status = wire::text(log, "/status");
        let (last, at) = &mut self.lines[index];
        let due = now_micros.saturating_sub(*at) >= LINE_EVERY_MICROS;
        if *last == status && !due {
            return;
        }
        last.clone_from(&status);
        *at = now_micros;
        let sizes = total.map(|total| {
            let done = total / 100 * percent(log);
            format!("  {} / {}", crate::output::bytes(done), crate::output::bytes(total))
        });
        self.output.note(format_args!(
            "{}: {status} {}%{}",
            title(log),
            percent(log),
            sizes.unwrap_or_default()
        ));
    }
}

fn percent(log: &Value) -> u64 {
    wire::number(log, "/extra_info/common/progress").unwrap_or(0).min(100)
}

fn title(log: &Value) -> String {
    let (kind, name) =
        (wire::text(log, "/operation_type"), wire::text(log, "/extra_info/resource/name"));
    let name = if name.is_empty() { wire::text(log, "/vault_name") } else { name };
    format!("{kind} {name}")
}

/// What is being worked on, in bytes: the size of the backed-up disks. Progress is
/// weighed by bytes, so a share of them is done.
async fn total_bytes(client: &Client, log: &Value) -> Option<u64> {
    let backup = ["/extra_info/backup/backup_id", "/extra_info/restore/backup_id"]
        .into_iter()
        .map(|pointer| wire::text(log, pointer))
        .find(|id| !id.is_empty())?;
    let path = client.cbr(&format!("backups/{backup}"));
    let body = client.get(&path, Query::new()).await.ok()?;
    let gigabytes = wire::number(&body, "/backup/resource_size")?;
    Some(gigabytes << 30)
}

fn draw(bar: &ProgressBar, log: &Value, total: Option<u64>) {
    let template = match total {
        Some(_) => {
            "{prefix:<28} [{bar:30}] {percent:>3}%  {binary_bytes} / {binary_total_bytes}  \
             {binary_bytes_per_sec}  ETA {eta}  {msg}"
        }
        None => "{prefix:<28} [{bar:30}] {percent:>3}%  {elapsed}  ETA {eta}  {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(title(log));
    bar.set_message(wire::text(log, "/status"));
    bar.set_length(total.unwrap_or(100));
    bar.set_position(total.map_or(percent(log), |total| total / 100 * percent(log)));
    if is_final(log) {
        bar.abandon(); // No more ticks; it is taken away when all have ended.
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Format;
    use crate::text::Lang;

    #[test]
    fn exactly_the_contracts_last_states_are_final() {
        let status = |word: &str| is_final(&json!({"status": word}));
        assert!(["success", "failed", "timeout", "skipped"].into_iter().all(status));
        assert!(!["waiting", "running", ""].into_iter().any(status));
    }

    #[test]
    fn a_failed_task_tells_its_code_its_reason_and_its_request() {
        let log = json!({
            "id": "t", "operation_type": "backup", "status": "failed",
            "error_info": {"code": "BackupService.6114", "message": "full"},
            "extra_info": {"common": {"progress": 3, "request_id": "req-1"}, "resource": {"name": "d"}},
        });
        let output = Output { format: Format::Table, lang: Lang::En, is_watched: false };
        let failure = failure_of(&log, output);
        assert_eq!(failure.kind, Kind::Failed);
        assert_eq!(failure.why, "full");
        assert_eq!(failure.code.as_deref(), Some("BackupService.6114"));
        assert_eq!(failure.request_id.as_deref(), Some("req-1"));
    }
}
