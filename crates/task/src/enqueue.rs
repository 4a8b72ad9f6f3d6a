//! Making a task from its first stage.

use cbr_db::NewTask;
use cbr_model::{ProjectId, TaskId};

use crate::error::TaskError;
use crate::task::Task;

/// A task that begins at `first`. Fill in what the operation log shall show, then
/// give it to `tx.tasks().insert(…)` in the transaction that makes it necessary,
/// and after the commit call [`Wake::wake`](crate::Wake::wake).
pub fn new_task<T: Task>(id: TaskId, project: ProjectId, first: &T) -> Result<NewTask, TaskError> {
    let stage = serde_json::to_string(first)
        .map_err(|source| TaskError::Stage { kind: T::KIND.to_owned(), source })?;
    Ok(NewTask::new(id, project, T::KIND, stage))
}
