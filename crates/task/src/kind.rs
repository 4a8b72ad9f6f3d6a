//! Kinds of tasks without their types, so that one engine runs them all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{DbError, Tx};

use crate::context::TaskContext;
use crate::error::TaskError;
use crate::task::{Failure, Outcome, StepError, Task};

/// A task of some kind at some stage.
pub(crate) type AnyTask = Box<dyn Stage>;

/// The methods of [`Task`], with the kind's context in hand.
#[async_trait]
pub(crate) trait Stage: Send + Sync {
    async fn step(self: Box<Self>, run: &TaskContext) -> Result<AnyTask, StepError<AnyTask>>;
    async fn enter(&self, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError>;
    fn unwind(self: Box<Self>, failure: Failure) -> AnyTask;
    fn outcome(&self) -> Option<Outcome>;
    fn may_cancel(&self) -> bool;
    fn to_json(&self) -> Result<String, TaskError>;
}

struct Loaded<T: Task> {
    task: T,
    ctx: Arc<T::Ctx>,
}

#[async_trait]
impl<T: Task> Stage for Loaded<T> {
    async fn step(self: Box<Self>, run: &TaskContext) -> Result<AnyTask, StepError<AnyTask>> {
        let Self { task, ctx } = *self;
        let result = task.step(&ctx, run).await;
        let load = |task| -> AnyTask { Box::new(Self { task, ctx }) };
        match result {
            Ok(next) => Ok(load(next)),
            Err(error) => Err(error.map(load)),
        }
    }

    async fn enter(&self, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        self.task.enter(&self.ctx, run, tx).await
    }

    fn unwind(self: Box<Self>, failure: Failure) -> AnyTask {
        Box::new(Self { task: self.task.unwind(failure), ctx: self.ctx })
    }

    fn outcome(&self) -> Option<Outcome> {
        self.task.outcome()
    }

    fn may_cancel(&self) -> bool {
        self.task.may_cancel()
    }

    fn to_json(&self) -> Result<String, TaskError> {
        serde_json::to_string(&self.task)
            .map_err(|source| TaskError::Stage { kind: T::KIND.to_owned(), source })
    }
}

type Read = Box<dyn Fn(&str) -> Result<AnyTask, serde_json::Error> + Send + Sync>;

/// The kinds an engine can run.
#[derive(Default)]
pub(crate) struct Kinds {
    names: Vec<&'static str>,
    by_name: HashMap<&'static str, (Read, Option<Duration>)>,
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kinds").field(&self.names).finish()
    }
}

impl Kinds {
    pub(crate) fn register<T: Task>(&mut self, ctx: Arc<T::Ctx>) {
        let read: Read = Box::new(move |json| {
            Ok(Box::new(Loaded::<T> { task: serde_json::from_str(json)?, ctx: Arc::clone(&ctx) }))
        });
        if self.by_name.insert(T::KIND, (read, T::TIME_LIMIT)).is_none() {
            self.names.push(T::KIND);
        }
    }

    pub(crate) fn names(&self) -> &[&'static str] {
        &self.names
    }

    pub(crate) fn time_limit(&self, kind: &str) -> Option<Duration> {
        self.by_name.get(kind).and_then(|(_, limit)| *limit)
    }

    /// The task that `json` describes; none: not a kind of ours.
    pub(crate) fn read(&self, kind: &str, json: &str) -> Option<Result<AnyTask, TaskError>> {
        let (read, _) = self.by_name.get(kind)?;
        Some(read(json).map_err(|source| TaskError::Stage { kind: kind.to_owned(), source }))
    }
}
