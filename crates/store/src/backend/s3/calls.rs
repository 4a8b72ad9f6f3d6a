//! Making a request until it is answered, within limits.
//!
//! A call waits for a slot, is sent, and is sent again with growing, fully random pauses as long as
//! that makes sense, attempts are left, and the backend's budget has a retry. Requests run on a small
//! runtime of the backend's own, so that callers may be any threads.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use cbr_env::{Clock, Random, RandomExt, Timestamp};
use tokio::runtime::{Builder, Runtime};

use super::answer::{Failure, FailureKind, Seen};
use super::budget::RetryBudget;
use super::gate::{Gate, Pressure};
use super::options::S3Options;
use super::watch::watched;
use crate::backend::{BackendError, Op};

/// Threads of the runtime: they move bytes, all else is done by callers.
const THREADS: usize = 2;
/// How often a request is made, at most.
const ATTEMPTS_MAX: u32 = 7;
/// The longest pause after the first failure; it doubles with each.
const PAUSE_START: Duration = Duration::from_millis(200);
/// The longest pause of all.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A transfer slower than this is given up.
const BYTES_PER_SECOND_MIN: u64 = 256 << 10;

/// Makes requests.
pub(super) struct Calls {
    /// Only gone while the value is being dropped.
    runtime: Option<Runtime>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    budget: RetryBudget,
    gate: Gate,
    timeout: Duration,
}

/// What became of a call after all attempts.
#[derive(Debug)]
pub(super) struct Tried<T> {
    pub(super) result: Result<T, Failure>,
    /// Whether an attempt *before* the last may have taken effect.
    pub(super) was_unclear: bool,
}

impl Calls {
    pub(super) fn new(
        options: &S3Options,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BackendError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(THREADS)
            .thread_name("s3")
            .enable_all()
            .build()
            .map_err(|source| BackendError::Unavailable {
                op: Op::Open,
                key: options.place(),
                source,
            })?;
        Ok(Self {
            runtime: Some(runtime),
            clock,
            random,
            budget: RetryBudget::full(),
            gate: Gate::new(options.concurrency_max),
            timeout: options.timeout,
        })
    }

    /// The time by our clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many requests may run now.
    pub(super) fn limit(&self) -> f64 {
        self.gate.limit()
    }

    /// Makes the request that `request` describes, which moves about `bytes`.
    pub(super) fn call<T, R>(&self, bytes: u64, request: impl Fn() -> R) -> Tried<T>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let mut was_unclear = false;
        let mut attempt = 0;
        loop {
            let failure = match self.once(bytes, request()) {
                Ok(value) => {
                    self.budget.refill();
                    return Tried { result: Ok(value), was_unclear };
                }
                Err(failure) => failure,
            };
            attempt += 1;
            let goes_on =
                failure.kind.may_be_retried() && attempt < ATTEMPTS_MAX && self.budget.take();
            if !goes_on {
                return Tried { result: Err(failure), was_unclear };
            }
            was_unclear |= failure.kind.may_have_happened();
            let pause = self.pause(attempt);
            tracing::debug!(attempt, ?pause, why = failure.text, "asking the store again");
            self.wait(pause);
        }
    }

    fn once<T: Send + 'static>(
        &self,
        bytes: u64,
        request: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Failure> {
        let limit = self.timeout + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
        let slot = self.gate.enter();
        let began = self.clock.monotonic_micros();
        // The timer must be made where it runs.
        let timed = async move { tokio::time::timeout(limit, request).await };
        let answer = self.run(watched(timed));
        let took = Duration::from_micros(self.clock.monotonic_micros().saturating_sub(began));
        let result = match answer {
            Some((Ok(Ok(value)), Seen { implausible: None, .. })) => Ok(value),
            Some((Ok(Ok(_)), seen)) => Err(seen.failure(&"")),
            Some((Ok(Err(Problem::Request(error))), seen)) => Err(seen.failure(&error)),
            Some((Ok(Err(Problem::Answer(text))), _)) => {
                Err(Failure { kind: FailureKind::Broken, text })
            }
            Some((Err(_), _)) => Err(broken("no answer within the time limit")),
            None => Err(broken("the request ended unexpectedly")),
        };
        self.gate.leave(slot, pressure(&result, took > limit / 2));
        result
    }

    /// Runs `work` on the runtime while this thread waits; `None` if it panicked.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (to, from) = sync_channel(1);
        self.runtime.as_ref()?.spawn(async move {
            // Nobody stops waiting before the answer.
            let _ = to.send(work.await);
        });
        from.recv().ok()
    }

    /// A random part of a span that doubles with every attempt: "full jitter".
    fn pause(&self, attempt: u32) -> Duration {
        let most =
            PAUSE_START.saturating_mul(1 << attempt.min(16).saturating_sub(1)).min(PAUSE_MAX);
        let part = f64::from(u32::from_le_bytes(self.random.bytes())) / f64::from(u32::MAX);
        most.mul_f64(part)
    }

    fn wait(&self, pause: Duration) {
        let clock = Arc::clone(&self.clock);
        self.run(async move { clock.sleep(pause).await });
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // Waiting for the threads is forbidden where the last owner is a task of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Problem {
    /// What the client library says.
    Request(object_store::Error),
    /// An answer that cannot be right.
    Answer(String),
}

impl From<object_store::Error> for Problem {
    fn from(error: object_store::Error) -> Self {
        Self::Request(error)
    }
}

fn broken(text: &str) -> Failure {
    Failure { kind: FailureKind::Broken, text: text.to_owned() }
}

fn pressure<T>(result: &Result<T, Failure>, is_slow: bool) -> Pressure {
    match result {
        _ if is_slow => Pressure::High,
        Err(failure) if failure.kind == FailureKind::Busy => Pressure::High,
        Err(failure) if failure.kind.may_be_retried() => Pressure::Unclear,
        Ok(_) | Err(_) => Pressure::None,
    }
}
