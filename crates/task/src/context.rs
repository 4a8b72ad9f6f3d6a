//! What a running step knows about its task.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cbr_model::{ProjectId, TaskId};

/// A task at work: who it is, how it reports, and when it has to stop.
/// Clones are cheap and may go to other threads.
#[derive(Clone, Debug)]
pub struct TaskContext {
    id: TaskId,
    project: ProjectId,
    fencing: i64,
    attempts: u32,
    progress: Arc<AtomicU8>,
    cancelled: Arc<AtomicBool>,
    stop: Arc<Mutex<Stop>>,
}

/// The reasons to stop that have come up so far.
#[derive(Clone, Copy, Default, Debug)]
struct Stop {
    may_cancel: bool,
    cancel_requested: bool,
    timed_out: bool,
    shutting_down: bool,
    lease_lost: bool,
}

/// The reason that counts, most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StopReason {
    /// Another worker may have the task: touch nothing.
    LeaseLost,
    /// Somebody asked for it.
    CancelRequested,
    /// The time limit.
    TimedOut,
    /// Put it back for later.
    ShuttingDown,
}

impl Stop {
    const fn reason(self) -> Option<StopReason> {
        if self.lease_lost {
            Some(StopReason::LeaseLost)
        } else if self.may_cancel && self.cancel_requested {
            Some(StopReason::CancelRequested)
        } else if self.may_cancel && self.timed_out {
            Some(StopReason::TimedOut)
        } else if self.shutting_down {
            Some(StopReason::ShuttingDown)
        } else {
            None
        }
    }
}

impl TaskContext {
    pub(crate) fn new(
        id: TaskId,
        project: ProjectId,
        fencing: i64,
        attempts: u32,
        progress: u8,
    ) -> Self {
        Self {
            id,
            project,
            fencing,
            attempts,
            progress: Arc::new(AtomicU8::new(progress)),
            cancelled: Arc::default(),
            stop: Arc::default(),
        }
    }

    /// The task. Names of outside effects derive from it.
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// The project of what it works on.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// The number of this claim: larger than that of every earlier worker on the
    /// task. Where the outside can compare numbers, give it this one.
    pub const fn fencing(&self) -> i64 {
        self.fencing
    }

    /// How often the stage that the claim began with has been tried, this time included.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Reports progress in per cent. Saved from time to time; never runs backwards.
    pub fn report_progress(&self, percent: u8) {
        self.progress.fetch_max(percent.min(100), Ordering::Relaxed);
    }

    /// Whether the step shall stop as soon as it can and give [`StepError::Cancelled`]
    /// (somebody asked for it, the time is over, the process ends, or another worker
    /// has the task).
    ///
    /// [`StepError::Cancelled`]: crate::StepError::Cancelled
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The flag behind [`is_cancelled`](Self::is_cancelled), for code that takes a flag.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    pub(crate) fn progress(&self) -> u8 {
        self.progress.load(Ordering::Relaxed)
    }

    pub(crate) fn stop_reason(&self) -> Option<StopReason> {
        self.lock().reason()
    }

    /// A stage begins that can be cancelled, or not.
    pub(crate) fn begin_stage(&self, may_cancel: bool) {
        self.change(|stop| stop.may_cancel = may_cancel);
    }

    pub(crate) fn request_cancel(&self) {
        self.change(|stop| stop.cancel_requested = true);
    }

    pub(crate) fn time_out(&self) {
        self.change(|stop| stop.timed_out = true);
    }

    pub(crate) fn shut_down(&self) {
        self.change(|stop| stop.shutting_down = true);
    }

    pub(crate) fn lose_lease(&self) {
        self.change(|stop| stop.lease_lost = true);
    }

    fn change(&self, change: impl FnOnce(&mut Stop)) {
        let mut stop = self.lock();
        change(&mut stop);
        self.cancelled.store(stop.reason().is_some(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    fn context() -> TaskContext {
        let random = SeededRandom::new(1);
        TaskContext::new(TaskId::random(&random), ProjectId::random(&random), 1, 1, 20)
    }

    #[test]
    fn a_stage_that_cleans_up_is_not_disturbed_by_a_wish_to_cancel() {
        let run = context();
        run.begin_stage(true);
        run.request_cancel();
        assert!(run.is_cancelled());
        run.begin_stage(false);
        assert!(!run.is_cancelled());
        run.lose_lease();
        assert_eq!(run.stop_reason(), Some(StopReason::LeaseLost));
    }

    #[test]
    fn progress_never_runs_backwards() {
        let run = context();
        run.report_progress(10);
        assert_eq!(run.progress(), 20);
        run.report_progress(200);
        assert_eq!(run.progress(), 100);
    }
}
