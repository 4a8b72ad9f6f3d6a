//! Table `tasks`, as people see it: operation logs.

use cbr_model::operation::{OperationLog, OperationStatus, OperationType};
use cbr_model::query::{Listing, OperationFilter, Page};
use cbr_model::resource::ResourceKind;
use cbr_model::{ProjectId, TaskId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE, and_contains};
use crate::sql::Sql;
use crate::task_rows::{TaskRecord, task_record};
use crate::tx::Tx;

/// The operation logs.
#[derive(Debug)]
pub struct Operations<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Operations<'_> {
    /// A project's task with this id, also one that is not shown as an operation log.
    pub async fn find(
        &mut self,
        project: ProjectId,
        id: TaskId,
    ) -> Result<Option<TaskRecord>, DbError> {
        let sql = Sql::new("SELECT * FROM tasks WHERE project_id = $1 AND id = $2");
        let row = self.tx.row("operations.find", "tasks", sql.bind(project).bind(id)).await?;
        row.map(|row| task_record(&row)).transpose()
    }

    /// Those of a project's tasks that have one of these ids, in no order.
    pub async fn find_all(
        &mut self,
        project: ProjectId,
        ids: &[TaskId],
    ) -> Result<Vec<TaskRecord>, DbError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let mut sql = Sql::new("SELECT * FROM tasks WHERE project_id = $1").bind(project);
        sql.and_one_of("id", ids.iter().copied());
        let rows = self.tx.rows("operations.find_all", "tasks", sql).await?;
        rows.iter().map(task_record).collect()
    }

    /// How far a task is, whatever else its row says.
    pub async fn status(
        &mut self,
        project: ProjectId,
        id: TaskId,
    ) -> Result<Option<OperationStatus>, DbError> {
        let sql = Sql::new("SELECT status FROM tasks WHERE project_id = $1 AND id = $2");
        let row = self.tx.row("operations.status", "tasks", sql.bind(project).bind(id)).await?;
        row.map(|row| row.word("status", OperationStatus::from_str_exact)).transpose()
    }

    /// A page of a project's operation logs, newest first (contract C51).
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &OperationFilter,
        page: &Page,
    ) -> Result<Listing<OperationLog>, DbError> {
        let engine = self.tx.engine();
        let mut sql = Sql::new("FROM tasks t WHERE t.project_id = $1 AND t.operation IS NOT NULL")
            .bind(project);
        sql.and_equal("t.operation", filter.operation.map(OperationType::as_str));
        sql.and_one_of("t.status", filter.statuses.iter().map(|status| status.as_str()));
        sql.and_equal("t.vault_id", filter.vault);
        and_contains(&mut sql, engine, "t.vault_name", filter.vault_name.as_ref());
        sql.and_equal("t.resource_id", filter.resource);
        and_contains(&mut sql, engine, "t.resource_name", filter.resource_name.as_ref());
        sql.and_equal("t.resource_kind", filter.resource_kind.map(ResourceKind::as_str));
        sql.and_equal("t.checkpoint_id", filter.checkpoint);
        sql.and_equal("t.policy_id", filter.policy);
        sql.and_equal(
            "COALESCE((SELECT v.enterprise_project FROM vaults v WHERE v.id = t.vault_id), '0')",
            filter.enterprise_project.as_ref(),
        );
        sql.and_equal("t.request_id", filter.request_id.as_ref());
        if let Some(from) = filter.started_from {
            sql.text(" AND t.started_at >= ").value(from);
        }
        if let Some(until) = filter.ended_until {
            sql.text(" AND t.ended_at <= ").value(until);
        }
        let listed = Listed {
            name: "operations.list",
            table: "tasks",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        let records = rows.iter().map(task_record).collect::<Result<Vec<_>, _>>()?;
        let logs = records.into_iter().filter_map(TaskRecord::into_operation_log).collect();
        Ok(Listing { rows: logs, total })
    }

    /// Asks a task that has not ended to stop, and lets it be looked at now;
    /// says whether there was one.
    pub async fn request_cancel(
        &mut self,
        project: ProjectId,
        id: TaskId,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET cancel_requested = 1, updated_at = $3,
                 run_at = CASE WHEN run_at > $3 THEN $3 ELSE run_at END
             WHERE project_id = $1 AND id = $2 AND status IN ('waiting', 'running')",
        );
        let sql = sql.bind(project).bind(id).bind(self.tx.now());
        self.tx.execute_one("operations.request_cancel", sql).await
    }
}
