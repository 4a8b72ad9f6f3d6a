//! Work on one claimed task: step, save, step, save, until it ends or pauses.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cbr_db::{ClaimedTask, Db};
use cbr_env::Clock;
use futures::FutureExt;

use crate::context::{StopReason, TaskContext};
use crate::error::TaskError;
use crate::heartbeat::after;
use crate::kind::{AnyTask, Kinds};
use crate::options::Options;
use crate::task::{Cause, Failure, StepError};

/// The contract's code for what a tenant cannot help and need not understand.
const INTERNAL: &str = "BackupService.9910";
/// A stage that cannot be read waits for a program that can.
const UNREADABLE_PAUSE: Duration = Duration::from_hours(1);

/// What a worker needs.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) db: Arc<Db>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) kinds: Arc<Kinds>,
}

/// What follows from a step.
pub(crate) enum After {
    /// Save this stage and go on.
    Next(AnyTask),
    /// Put the task back at this stage.
    Pause { stage: AnyTask, attempts: u32, pause: Duration },
    /// The step panicked; its stage went with it.
    Panicked,
    /// The task is somebody else's now.
    Abandon,
}

/// Whether the work on a claim goes on.
pub(crate) enum Saved {
    Going,
    Over,
}

impl Worker {
    /// Works on a claimed task. An error means that this claim is of no use any
    /// more; the lease runs out and the next claim finds what was saved.
    pub(crate) async fn work(&self, task: ClaimedTask, run: &TaskContext) -> Result<(), TaskError> {
        let (mut json, mut attempts) = (task.stage, task.attempts);
        loop {
            let Some(Ok(stage)) = self.kinds.read(&task.kind, &json) else {
                tracing::error!(task.id = %task.id, task.kind, "stage cannot be read, left alone");
                self.postpone(run, &json, 0, UNREADABLE_PAUSE).await?;
                return Ok(());
            };
            run.begin_stage(stage.may_cancel());
            let next = match self.advance(stage, &json, attempts, run).await {
                After::Abandon => return Ok(()),
                After::Pause { stage, attempts, pause } => {
                    return self.postpone(run, &stage.to_json()?, attempts, pause).await;
                }
                After::Panicked => {
                    let pause = self.options.pause(attempts);
                    return self.postpone(run, &json, attempts, pause).await;
                }
                After::Next(next) => next,
            };
            let next_json = next.to_json()?;
            match self.save(run, next, &next_json).await {
                Ok(Saved::Going) => (json, attempts) = (next_json, 1),
                Ok(Saved::Over) => return Ok(()),
                Err(SaveError::Undone(error)) => {
                    tracing::warn!(task.id = %task.id, %error, "entering a stage failed, again later");
                    let pause = self.options.pause(attempts);
                    return self.postpone(run, &json, attempts, pause).await;
                }
                Err(SaveError::Unknown(error)) => return Err(error),
            }
        }
    }

    /// Runs the step, unless there is a reason not to.
    pub(crate) async fn advance(
        &self,
        stage: AnyTask,
        json: &str,
        attempts: u32,
        run: &TaskContext,
    ) -> After {
        if stage.outcome().is_some() {
            return After::Next(stage);
        }
        if run.stop_reason().is_some() {
            return stopped(stage, attempts, run);
        }
        if attempts > self.options.attempts {
            let reason = "The work was interrupted too often. Try again.".to_owned();
            return After::Next(stage.unwind(Failure::new(Cause::Failed, INTERNAL, reason)));
        }
        match AssertUnwindSafe(stage.step(run)).catch_unwind().await {
            Err(_) => {
                tracing::error!(task.id = %run.id(), "a step panicked");
                After::Panicked
            }
            Ok(Ok(next)) => After::Next(next),
            Ok(Err(StepError::Fail { stage, code, reason })) => {
                tracing::warn!(task.id = %run.id(), code, reason, "task failed");
                After::Next(stage.unwind(Failure::failed(code, reason)))
            }
            Ok(Err(StepError::Retry { stage, code, reason, after })) => {
                tracing::warn!(task.id = %run.id(), code, reason, attempts, "step to be tried again");
                // One that got further starts counting again.
                let is_further = stage.to_json().is_ok_and(|reached| reached != json);
                let attempts = if is_further { 1 } else { attempts };
                if attempts >= self.options.attempts {
                    return After::Next(stage.unwind(Failure::failed(code, reason)));
                }
                let pause = after.unwrap_or_else(|| self.options.pause(attempts));
                After::Pause { stage, attempts, pause }
            }
            Ok(Err(StepError::Wait { stage, after })) => {
                After::Pause { stage, attempts: 0, pause: after }
            }
            Ok(Err(StepError::Cancelled { stage })) => stopped(stage, attempts, run),
        }
    }

    /// Saves the stage and what entering it writes, if the claim still holds.
    pub(crate) async fn save(
        &self,
        run: &TaskContext,
        next: AnyTask,
        json: &str,
    ) -> Result<Saved, SaveError> {
        let mut tx = self.db.begin().await.map_err(undone("begin a save"))?;
        let (id, fencing) = (run.id(), run.fencing());
        let outcome = next.outcome();
        let is_ours = match &outcome {
            Some(outcome) => {
                let (status, error) = outcome.to_status();
                tx.tasks().end(id, fencing, json, status, error).await
            }
            None => tx.tasks().save(id, fencing, json, run.progress()).await,
        };
        if !is_ours.map_err(undone("save a stage"))? {
            tracing::warn!(task.id = %id, "another worker has the task, nothing saved");
            return Ok(Saved::Over);
        }
        next.enter(run, &mut tx).await.map_err(undone("enter a stage"))?;
        // Whether a commit that fails took place, only the row can tell.
        tx.commit().await.map_err(TaskError::db("commit a save")).map_err(SaveError::Unknown)?;
        let Some(outcome) = outcome else { return Ok(Saved::Going) };
        let status = outcome.to_status().0.as_str();
        metrics::counter!("cbr_tasks_ended_total", "status" => status).increment(1);
        tracing::info!(task.id = %id, status, "task ended");
        Ok(Saved::Over)
    }

    pub(crate) async fn postpone(
        &self,
        run: &TaskContext,
        stage: &str,
        attempts: u32,
        pause: Duration,
    ) -> Result<(), TaskError> {
        let failed = |error| TaskError::db("put a task back")(error);
        let mut tx = self.db.begin().await.map_err(failed)?;
        let run_at = after(tx.now(), pause);
        let (id, fencing) = (run.id(), run.fencing());
        tx.tasks().postpone(id, fencing, stage, attempts, run_at).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

/// Why a save did not happen.
pub(crate) enum SaveError {
    /// It was undone: the stage before still holds.
    Undone(TaskError),
    /// It may have happened.
    Unknown(TaskError),
}

fn undone(operation: &'static str) -> impl FnOnce(cbr_db::DbError) -> SaveError {
    move |error| SaveError::Undone(TaskError::db(operation)(error))
}

/// What becomes of a task whose work was stopped at `stage`.
fn stopped(stage: AnyTask, attempts: u32, run: &TaskContext) -> After {
    let early = |cause, text: &str| Failure::new(cause, INTERNAL, text.to_owned());
    match run.stop_reason() {
        Some(StopReason::LeaseLost) => After::Abandon,
        Some(StopReason::CancelRequested) => {
            After::Next(stage.unwind(early(Cause::Cancelled, "Cancelled on request.")))
        }
        Some(StopReason::TimedOut) => {
            After::Next(stage.unwind(early(Cause::TimedOut, "It took longer than allowed.")))
        }
        // The interruption is ours, so it does not count as a try. Without a reason
        // the step stopped on a wish that does not concern this stage.
        Some(StopReason::ShuttingDown) | None => {
            After::Pause { stage, attempts: attempts.saturating_sub(1), pause: Duration::ZERO }
        }
    }
}
