//! Following the jobs of the neighbour services (making and deleting disks).

use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;

use super::transport::{Client, Query};
use super::wait::WaitArgs;
use super::wire;
use crate::failure::{Failure, Kind};
use crate::output::Output;

const POLL: Duration = Duration::from_millis(300);

/// Shows what was started, for those who do not wait.
pub(crate) fn started(output: Output, answer: &Value) -> Result<(), Failure> {
    if output.is_json() { output.json(answer) } else { output.line(wire::text(answer, "/job_id")) }
}

/// Waits until the job has ended and answers with its last state.
pub(crate) async fn finished(
    client: &Client,
    output: Output,
    id: &str,
    args: WaitArgs,
) -> Result<Value, Failure> {
    let lang = output.lang;
    let started = client.clock().monotonic_micros();
    let spinner = if output.is_watched {
        ProgressBar::new_spinner().with_message(lang.col_status())
    } else {
        ProgressBar::hidden()
    };
    let path = format!("/v1/{}/jobs/{id}", client.project());
    loop {
        match client.get(&path, Query::new()).await {
            Ok(job) => match wire::text(&job, "/status").as_str() {
                "SUCCESS" => return Ok(job),
                "FAIL" => {
                    let mut failure = Failure::new(
                        Kind::Failed,
                        lang.what_task_failed(wire::text(&job, "/job_type"), ""),
                        wire::text(&job, "/fail_reason"),
                    );
                    failure.code = Some(wire::text(&job, "/error_code"));
                    return Err(failure);
                }
                status => spinner.set_message(status.to_owned()),
            },
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.failure(lang, lang.what_wait())),
        }
        let waited = client.clock().monotonic_micros() - started;
        if args.timeout.is_some_and(|seconds| waited > seconds.saturating_mul(1_000_000)) {
            return Err(Failure::new(Kind::TimedOut, lang.what_wait(), lang.why_timeout()));
        }
        spinner.tick();
        client.clock().sleep(POLL).await;
    }
}
