//! The heartbeat of a task at work: renews the lease, saves progress, hears of
//! cancellation, and stops the work when the lease may be lost.
//!
//! A worker that cannot reach the database stops itself before its lease ends,
//! by its own monotonic clock (P23): it needs nobody to tell it.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::{ClaimedTask, Db, DbError};
use cbr_env::Clock;

use crate::context::TaskContext;
use crate::options::Options;
use crate::wake::Wake;

/// What keeps one claim alive.
pub(crate) struct Heartbeat {
    pub(crate) db: Arc<Db>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) wake: Wake,
    pub(crate) run: TaskContext,
    /// By the monotonic clock, when the claim was asked for.
    pub(crate) claimed_at: u64,
    /// By the monotonic clock, when the time limit is over.
    pub(crate) time_out_at: Option<u64>,
}

impl Heartbeat {
    /// Beats until the lease is lost or the future is dropped.
    pub(crate) async fn beat(self) {
        let mut renewed_at = self.claimed_at;
        let mut saved = self.run.progress();
        loop {
            let is_woken = tokio::select! {
                () = self.clock.sleep(self.options.beat) => false,
                () = self.wake.cancelled.notified() => true,
            };
            let now = self.clock.monotonic_micros();
            if self.time_out_at.is_some_and(|at| now >= at) {
                self.run.time_out();
            }
            let progress = self.run.progress();
            let is_due = now >= renewed_at.saturating_add(micros(self.options.renew_after()));
            if !is_woken && !is_due && progress == saved {
                continue;
            }
            // Half a beat early, so that we stop before anybody else starts.
            let ends_at = renewed_at
                .saturating_add(micros(self.options.lease))
                .saturating_sub(micros(self.options.beat) / 2);
            let left = Duration::from_micros(ends_at.saturating_sub(now));
            let renewal = tokio::select! {
                renewal = self.renew(progress) => renewal,
                () = self.clock.sleep(left) => Ok(None),
            };
            match renewal {
                Ok(Some(cancel_requested)) => {
                    (renewed_at, saved) = (now, progress);
                    if cancel_requested {
                        self.run.request_cancel();
                    }
                }
                Ok(None) => {
                    tracing::warn!(task.id = %self.run.id(), "lease lost, stopping");
                    self.run.lose_lease();
                    return;
                }
                Err(error) => tracing::warn!(task.id = %self.run.id(), %error, "cannot renew"),
            }
        }
    }

    async fn renew(&self, progress: u8) -> Result<Option<bool>, DbError> {
        // Nobody who holds up the writers costs a lease; the fencing number decides.
        let mut tx = self.db.begin_beside().await?;
        let until = after(tx.now(), self.options.lease);
        let (id, fencing) = (self.run.id(), self.run.fencing());
        let renewed = tx.tasks().renew(id, fencing, progress, until).await?;
        tx.commit().await?;
        Ok(renewed)
    }
}

/// The monotonic time at which the time limit of a task is over.
pub(crate) fn time_out_at(
    task: &ClaimedTask,
    limit: Option<Duration>,
    clock: &dyn Clock,
) -> Option<u64> {
    let used = u64::try_from(clock.now().micros_since(task.started_at)).unwrap_or(0);
    let left = micros(limit?).saturating_sub(used);
    Some(clock.monotonic_micros().saturating_add(left))
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A time later by `duration`.
pub(crate) fn after(time: cbr_env::Timestamp, duration: Duration) -> cbr_env::Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    cbr_env::Timestamp(time.0.saturating_add(micros))
}
