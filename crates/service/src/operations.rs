//! Operation logs: what people see of tasks.

use std::sync::Arc;

use cbr_db::{TaskRecord, Tx};
use cbr_model::TaskId;
use cbr_model::operation::{OperationLog, OperationType};
use cbr_model::query::{Listing, OperationFilter, Page};

use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::{Access, Error, Result};

/// Use cases of operation logs.
#[derive(Debug)]
pub struct Operations {
    core: Arc<Core>,
}

impl Operations {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists operation logs, newest first (contract C51).
    pub async fn list(
        &self,
        access: &Access,
        filter: &OperationFilter,
        page: Page,
    ) -> Result<Listing<OperationLog>> {
        let mut tx = self.core.db.read().await.map_err(db("listing operation logs"))?;
        let listed = tx.operations().list(access.project(), filter, &page).await;
        listed.map_err(db("listing operation logs"))
    }

    /// One operation log (contract C52).
    pub async fn show(&self, access: &Access, id: TaskId) -> Result<OperationLog> {
        let mut tx = self.core.db.read().await.map_err(db("reading an operation log"))?;
        log(existing(&mut tx, access, id).await?)
    }

    /// The states of these operation logs, in their order; none: it is not there, or not any more.
    pub async fn states(
        &self,
        access: &Access,
        ids: &[TaskId],
    ) -> Result<Vec<Option<OperationLog>>> {
        let doing = "reading operation logs";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let found = tx.operations().find_all(access.project(), ids).await.map_err(db(doing))?;
        let logs: Vec<_> = found.into_iter().filter_map(TaskRecord::into_operation_log).collect();
        Ok(ids.iter().map(|id| logs.iter().find(|log| log.id == *id).cloned()).collect())
    }

    /// Asks a backup to stop (extension, BAK-24). Restores and deletions cannot be stopped (RST-23).
    pub async fn cancel(&self, access: &Access, id: TaskId) -> Result<OperationLog> {
        let refused = |reason| Err(Error::OperationNotCancellable { task: id, reason });
        let mut tx = self.core.change(access, "cancelling an operation").await?;
        let task = existing(&mut tx, access, id).await?;
        if task.operation != Some(OperationType::Backup) {
            return refused("only backups can be stopped half-way");
        }
        let is_asked = tx.operations().request_cancel(access.project(), id).await;
        if !is_asked.map_err(db("cancelling an operation"))? {
            return refused("it has ended");
        }
        tx.commit(Subject::new(task.id, "")).await?;
        self.core.wake();
        log(task)
    }
}

async fn existing(tx: &mut Tx, access: &Access, id: TaskId) -> Result<TaskRecord> {
    let task = tx.operations().find(access.project(), id).await;
    task.map_err(db("reading an operation log"))?.ok_or(Error::OperationNotFound(id))
}

/// A task that is no operation log looks like an absent one.
fn log(task: TaskRecord) -> Result<OperationLog> {
    let id = task.id;
    task.into_operation_log().ok_or(Error::OperationNotFound(id))
}
