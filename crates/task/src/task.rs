//! What a kind of task is: its stages, the steps between them, and the way out.

use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{DbError, Tx};
use cbr_model::operation::{OperationError, OperationStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::TaskContext;

/// A kind of task: an enum with a variant per stage.
///
/// The stored stage outlives an upgrade of the program. Variants are added,
/// never renamed or removed, while a row may hold them.
///
/// A step touches the world outside (store, providers) and is repeatable; what
/// belongs into the database is written by [`enter`](Task::enter) in the same
/// transaction as the stage, and so happens exactly once. Names of what a step
/// leaves outside derive from [`TaskContext::id`], so that a repeat finds them.
#[async_trait]
pub trait Task: Sized + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Names the kind in the row. Never change it once released.
    const KIND: &'static str;
    /// How long after its first step a task is stopped with the status `timeout`.
    const TIME_LIMIT: Option<Duration> = None;
    /// What the steps need.
    type Ctx: Send + Sync + 'static;

    /// Does the work of this stage and gives the next one.
    ///
    /// **Must be safe to repeat**: it may have run before, wholly or in part,
    /// and the process then died. A step that takes longer than a second looks
    /// at [`TaskContext::is_cancelled`] and reports its progress.
    async fn step(self, ctx: &Self::Ctx, run: &TaskContext) -> Result<Self, StepError<Self>>;

    /// Writes what is true from this stage on, in the transaction that saves the
    /// stage. Not called for the first stage: that is written by who enqueues it.
    ///
    /// An error undoes the save and counts as [`StepError::Retry`] of the stage before.
    async fn enter(
        &self,
        _ctx: &Self::Ctx,
        _run: &TaskContext,
        _tx: &mut Tx,
    ) -> Result<(), DbError> {
        Ok(())
    }

    /// The stage to go on from after `failure` ended the work early: usually one
    /// that cleans up. Unwinding again and again must reach a final stage.
    fn unwind(self, failure: Failure) -> Self;

    /// How the task ended; none while there is something left to do.
    fn outcome(&self) -> Option<Outcome>;

    /// Whether a wish to cancel, or the time limit, still ends the work at this
    /// stage. No for stages that clean up or whose result is decided.
    fn may_cancel(&self) -> bool {
        true
    }
}

/// Why a step gives no next stage.
#[derive(Debug)]
pub enum StepError<T> {
    /// Something passing is in the way. The step runs again after a growing
    /// pause; when that happens too often, the task unwinds with `code` and `reason`.
    Retry {
        /// Where to go on. It may record more progress than before, but is not entered.
        stage: T,
        /// Contract code, e.g. `BackupService.9910`.
        code: &'static str,
        /// For people: what, why, what next.
        reason: String,
        /// Not before this time has passed; none: the engine decides.
        after: Option<Duration>,
    },
    /// What the step waits for has not happened. Is no failure and can go on for ever.
    Wait {
        /// Where to go on.
        stage: T,
        /// Look again after this time.
        after: Duration,
    },
    /// The work cannot succeed. The task unwinds.
    Fail {
        /// Where it went wrong.
        stage: T,
        /// Contract code.
        code: &'static str,
        /// For people: what, why, what next.
        reason: String,
    },
    /// The step saw [`TaskContext::is_cancelled`] and stopped. The engine knows
    /// why and goes on accordingly.
    Cancelled {
        /// Where it stopped.
        stage: T,
    },
}

/// Why a task ends early.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A step failed, or was tried too often.
    Failed,
    /// Somebody asked for it.
    Cancelled,
    /// It took longer than its time limit.
    TimedOut,
}

/// What a task that ends early carries through its cleaning stages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// What the operation log will show.
    pub error: OperationError,
}

impl Failure {
    /// The work failed.
    pub fn failed(code: &str, reason: impl Into<String>) -> Self {
        Self::new(Cause::Failed, code, reason.into())
    }

    pub(crate) fn new(cause: Cause, code: &str, message: String) -> Self {
        Self { cause, error: OperationError { code: code.to_owned(), message } }
    }
}

/// How a task ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its result is there.
    Success,
    /// It ended early, and cleaned up.
    Failed(Failure),
    /// There was nothing to do, for this reason.
    Skipped(OperationError),
}

impl Outcome {
    /// Status and error for the operation log. A cancelled task has failed; the
    /// contract has no word of its own for it.
    pub fn to_status(&self) -> (OperationStatus, Option<&OperationError>) {
        match self {
            Self::Success => (OperationStatus::Success, None),
            Self::Failed(failure) => match failure.cause {
                Cause::Failed | Cause::Cancelled => (OperationStatus::Failed, Some(&failure.error)),
                Cause::TimedOut => (OperationStatus::Timeout, Some(&failure.error)),
            },
            Self::Skipped(error) => (OperationStatus::Skipped, Some(error)),
        }
    }
}

impl<T> StepError<T> {
    /// The stage in it turned into another type.
    pub(crate) fn map<U>(self, to: impl FnOnce(T) -> U) -> StepError<U> {
        match self {
            Self::Retry { stage, code, reason, after } => {
                StepError::Retry { stage: to(stage), code, reason, after }
            }
            Self::Wait { stage, after } => StepError::Wait { stage: to(stage), after },
            Self::Fail { stage, code, reason } => {
                StepError::Fail { stage: to(stage), code, reason }
            }
            Self::Cancelled { stage } => StepError::Cancelled { stage: to(stage) },
        }
    }
}
