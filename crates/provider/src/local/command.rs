//! Running an operator's command.
//!
//! A list of arguments, no shell, nothing of our environment, a time limit, bounded
//! output. On a timeout, and when the caller goes away, the whole process group is
//! killed.

use std::fmt::Write as _;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use cbr_env::Clock;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::error::{ProviderError, Result};

/// How much of each output stream is kept.
const OUTPUT_BYTES_MAX: usize = 16 << 10;

/// How much of the output is shown in messages.
const SHOWN_CHARS_MAX: usize = 400;

/// How long output is still read once the command has ended.
const PIPE_GRACE: Duration = Duration::from_millis(500);

/// Where a command's own commands are looked for.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether it ended with exit code 0.
    pub(crate) succeeded: bool,
    /// The beginning of what it printed.
    pub(crate) stdout: String,
    stderr: String,
    ending: String,
}

impl Outcome {
    /// How it ended and what it said, for messages.
    pub(crate) fn describe(&self) -> String {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let said: String = said.trim().chars().take(SHOWN_CHARS_MAX).collect();
        let mut text = self.ending.clone();
        if !said.is_empty() {
            let _ = write!(text, ": {}", said.replace(char::is_control, " "));
        }
        text
    }
}

/// Runs `argv` to its end. An error means that it did not run to its end.
pub(crate) async fn run(
    doing: &str,
    argv: &[String],
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<Outcome> {
    let unavailable = |why: String| ProviderError::unavailable(doing, why);
    let (program, arguments) =
        argv.split_first().ok_or_else(|| unavailable("the command is empty".into()))?;
    let mut child = Command::from(prepared(program, arguments))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| unavailable(format!("cannot start {program}: {error}")))?;
    let group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        // Both are read while waiting: a command must not block on a full pipe.
        let reading =
            async { tokio::join!(read_into(&mut stdout, out), read_into(&mut stderr, err)) };
        tokio::pin!(reading);
        let mut limit = clock.sleep(timeout);
        let mut is_read = false;
        let ended = loop {
            tokio::select! {
                ended = child.wait() => break ended,
                _ = &mut reading, if !is_read => is_read = true,
                () = &mut limit => {
                    drop(group);
                    return Err(unavailable(format!("{program} did not end within {timeout:?}")));
                }
            }
        };
        // What it left running in the background may hold the pipes open for ever.
        if !is_read {
            tokio::select! {
                _ = reading => {}
                () = clock.sleep(PIPE_GRACE) => {}
            }
        }
        ended
    };
    let status =
        ended.map_err(|error| unavailable(format!("cannot wait for {program}: {error}")))?;
    group.ended();
    Ok(Outcome {
        succeeded: status.success(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        ending: format!("{program} ended with {status}"),
    })
}

/// Starts `argv` and does not wait for it: for when there is nobody left to wait.
pub(crate) fn start(argv: &[String]) -> io::Result<()> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    prepared(program, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

fn prepared(program: &str, arguments: &[String]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    command
}

/// Kills the group when dropped.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The command ended by itself. What it left running in the background may stay.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended in between; then there is nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads a stream to its end and keeps the beginning.
async fn read_into(kept: &mut Vec<u8>, stream: Option<impl AsyncRead + Unpin>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 4096];
    // A stream that breaks is over: the exit status decides about the command.
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use cbr_env::SystemClock;

    use super::*;

    async fn shell(script: &str, timeout: Duration) -> Result<Outcome> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run("ask", &argv, timeout, &SystemClock::default()).await
    }

    #[tokio::test]
    async fn output_is_bounded_and_the_environment_is_not_passed_on() {
        let outcome = shell("env; head -c 10000000 /dev/zero", Duration::from_secs(20)).await;
        let outcome = outcome.unwrap();
        assert!(outcome.succeeded);
        assert_eq!(outcome.stdout.len(), OUTPUT_BYTES_MAX);
        // P32: a secret in our own environment must not reach the command.
        assert!(!outcome.stdout.contains("CARGO"), "{}", &outcome.stdout[..200]);
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let error = shell(&script, Duration::from_millis(200)).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(error.to_string().contains("did not end"), "{error}");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!mark.exists(), "the child went on");
    }

    #[tokio::test]
    async fn what_a_command_starts_in_the_background_is_neither_waited_for_nor_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("echo started; (sleep 1; touch {}) &", mark.display());
        let outcome = shell(&script, Duration::from_secs(20)).await.unwrap();
        assert_eq!(outcome.stdout, "started\n");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(mark.exists(), "the started programme was killed");
    }

    #[tokio::test]
    async fn a_failure_is_described_by_what_the_command_said() {
        let outcome = shell("echo no such domain >&2; exit 3", Duration::from_secs(20)).await;
        let outcome = outcome.unwrap();
        assert!(!outcome.succeeded);
        assert_eq!(outcome.describe(), "/bin/sh ended with exit status: 3: no such domain");
    }
}
