//! Table `tasks`, as the task engine sees it: claim, renew, save, end.
//!
//! Each claim raises the row's fencing number. A worker that lost its lease
//! names an older number, so none of its saves changes anything (P14); the
//! lease itself only decides when somebody else may try.

use std::collections::BTreeSet;

use cbr_model::operation::{OperationDetails, OperationError, OperationStatus};
use cbr_model::{BackupId, TaskId, Timestamp};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::task_rows::{ClaimedTask, NewTask, TaskRecord, task_record};
use crate::tx::Tx;

/// Who claims what, and until when.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The node that claims: tasks of other nodes are left alone.
    pub node: &'a str,
    /// The kinds it can run.
    pub kinds: &'a [&'static str],
    /// When others may take the task over, if the lease is not renewed.
    pub lease_until: Timestamp,
}

/// A task that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedTask {
    /// It did what it was for.
    pub is_success: bool,
    /// What kind of task.
    pub kind: String,
    /// Its last stage, as JSON.
    pub stage: String,
}

/// The table of tasks.
#[derive(Debug)]
pub struct Tasks<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Tasks<'_> {
    /// Adds a task that waits to be run, after those with its exclusive key.
    pub async fn insert(&mut self, task: &NewTask) -> Result<(), DbError> {
        let created_at = self.after_others(task).await?;
        let sql = task.insertion(OperationStatus::Waiting, None, created_at);
        self.tx.execute("tasks.insert", sql).await.map(drop)
    }

    /// Now, or just after the last task that has the same key: their order is that in which they were
    /// added, also if the clock stands still or goes back.
    async fn after_others(&mut self, task: &NewTask) -> Result<Timestamp, DbError> {
        let now = self.tx.now();
        let Some(key) = &task.exclusive_key else { return Ok(now) };
        let sql = Sql::new(
            "SELECT created_at FROM tasks
             WHERE exclusive_key = $1 AND status IN ('waiting', 'running')
             ORDER BY created_at DESC LIMIT 1",
        );
        let last = self.tx.row("tasks.insert", "tasks", sql.bind(key)).await?;
        let last = last.map(|row| row.time("created_at")).transpose()?;
        Ok(last.map_or(now, |last| now.max(Timestamp(last.0.saturating_add(1)))))
    }

    /// Adds the log of something that will not run (TSK-08).
    pub async fn insert_skipped(
        &mut self,
        task: &NewTask,
        error: &OperationError,
    ) -> Result<(), DbError> {
        let sql = task.insertion(OperationStatus::Skipped, Some(error), self.tx.now());
        self.tx.execute("tasks.insert_skipped", sql).await.map(drop)
    }

    /// Adds the log of something that was tried in the same transaction and is not possible.
    pub async fn insert_failed(
        &mut self,
        task: &NewTask,
        error: &OperationError,
    ) -> Result<(), DbError> {
        let now = self.tx.now();
        let sql = task.insertion(OperationStatus::Failed, Some(error), now);
        self.tx.execute("tasks.insert_failed", sql).await?;
        let sql = Sql::new("UPDATE tasks SET started_at = $2 WHERE id = $1");
        self.tx.execute("tasks.insert_failed", sql.bind(task.id).bind(now)).await.map(drop)
    }

    /// Adds the log of something that was done in the same transaction.
    pub async fn insert_done(&mut self, task: &NewTask) -> Result<(), DbError> {
        let now = self.tx.now();
        let sql = task.insertion(OperationStatus::Success, None, now);
        self.tx.execute("tasks.insert_done", sql).await?;
        let sql = Sql::new("UPDATE tasks SET progress = 100, started_at = $2 WHERE id = $1");
        self.tx.execute("tasks.insert_done", sql.bind(task.id).bind(now)).await.map(drop)
    }

    /// Takes the task that has been due for longest, if there is one: nobody holds
    /// a lease on it, and no other task with its exclusive key is at work or was due
    /// before it. Without the latter a purge could take the key from a backup that waits
    /// for its node, and each would wait for the other (RES-17).
    ///
    /// It reads no more of the row than it gives: what a newer version wrote into the rest, or what is
    /// damaged there, keeps no task from being run, neither this one nor all those after it.
    pub async fn claim(&mut self, claim: &Claim<'_>) -> Result<Option<ClaimedTask>, DbError> {
        if claim.kinds.is_empty() {
            return Ok(None);
        }
        let now = self.tx.now();
        let mut sql = Sql::new(
            "SELECT t.id, t.kind, t.stage, t.project_id, t.fencing, t.attempts, t.progress,
                 t.cancel_requested, t.started_at
             FROM tasks t WHERE t.status IN ('waiting', 'running')
             AND t.run_at <= $1 AND t.lease_until <= $1 AND (t.node IS NULL OR t.node = $2)
             AND (t.exclusive_key IS NULL OR NOT EXISTS (
                 SELECT 1 FROM tasks o WHERE o.exclusive_key = t.exclusive_key
                 AND o.status IN ('waiting', 'running') AND o.id <> t.id
                 AND (o.status = 'running' OR (t.status = 'waiting' AND o.run_at <= $1
                      AND (o.created_at < t.created_at
                           OR (o.created_at = t.created_at AND o.id < t.id))))))
             AND t.kind IN (",
        )
        .bind(now)
        .bind(claim.node);
        sql.values_list(claim.kinds.iter().copied());
        sql.text(") ORDER BY t.run_at, t.created_at, t.id LIMIT 1");
        let Some(row) = self.tx.row("tasks.claim", "tasks", sql).await? else { return Ok(None) };
        let (id, fencing) = (row.id("id")?, row.int("fencing")?);
        let sql = Sql::new(
            "UPDATE tasks SET status = 'running', lease_until = $3, fencing = fencing + 1,
                 attempts = attempts + 1, started_at = COALESCE(started_at, $4), updated_at = $4,
                 claimed_by = $5
             WHERE id = $1 AND fencing = $2 AND lease_until <= $4",
        )
        .bind(id)
        .bind(fencing)
        .bind(claim.lease_until)
        .bind(now)
        .bind(claim.node);
        if !self.tx.execute_one("tasks.claim", sql).await? {
            return Ok(None);
        }
        Ok(Some(ClaimedTask {
            id,
            kind: row.text("kind")?,
            stage: row.text("stage")?,
            project: row.id("project_id")?,
            fencing: fencing + 1,
            attempts: row.small::<u32>("attempts")?.saturating_add(1),
            progress: row.small("progress")?,
            cancel_requested: row.flag("cancel_requested")?,
            started_at: row.time_opt("started_at")?.unwrap_or(now),
        }))
    }

    /// Ends the leases a node holds; says how many. For a node that has just started and is
    /// the only one of its name: who held them is dead.
    pub async fn release_claims_of(&mut self, node: &str) -> Result<u64, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET lease_until = 0
             WHERE status = 'running' AND claimed_by = $1 AND lease_until > 0",
        )
        .bind(node);
        self.tx.execute("tasks.release_claims_of", sql).await
    }

    /// Prolongs the lease and notes the progress. Gives whether somebody wants the
    /// task to stop; none: the lease is lost. It may run beside other writers
    /// ([`begin_beside`](crate::Db::begin_beside)).
    pub async fn renew(
        &mut self,
        id: TaskId,
        fencing: i64,
        progress: u8,
        lease_until: Timestamp,
    ) -> Result<Option<bool>, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET lease_until = $3, updated_at = $5,
                 progress = CASE WHEN progress < $4 THEN $4 ELSE progress END
             WHERE id = $1 AND fencing = $2 AND status = 'running'",
        )
        .bind(id)
        .bind(fencing)
        .bind(lease_until)
        .bind(progress)
        .bind(self.tx.now());
        if !self.tx.execute_one("tasks.renew", sql).await? {
            return Ok(None);
        }
        let sql = Sql::new("SELECT id, cancel_requested FROM tasks WHERE id = $1").bind(id);
        let row = self.tx.row("tasks.renew", "tasks", sql).await?;
        row.map(|row| row.flag("cancel_requested")).transpose()
    }

    /// Moves a task to its next stage; says whether the lease still held.
    pub async fn save(
        &mut self,
        id: TaskId,
        fencing: i64,
        stage: &str,
        progress: u8,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET stage = $3, attempts = 1, updated_at = $5,
                 progress = CASE WHEN progress < $4 THEN $4 ELSE progress END
             WHERE id = $1 AND fencing = $2 AND status = 'running'",
        )
        .bind(id)
        .bind(fencing)
        .bind(stage)
        .bind(progress)
        .bind(self.tx.now());
        self.tx.execute_one("tasks.save", sql).await
    }

    /// Puts a task back until `run_at`, with `attempts` counted so far; says whether
    /// the lease still held. It keeps its exclusive key: it is still at work.
    pub async fn postpone(
        &mut self,
        id: TaskId,
        fencing: i64,
        stage: &str,
        attempts: u32,
        run_at: Timestamp,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET stage = $3, attempts = $4, run_at = $5, lease_until = 0,
                 updated_at = $6
             WHERE id = $1 AND fencing = $2 AND status = 'running'",
        )
        .bind(id)
        .bind(fencing)
        .bind(stage)
        .bind(attempts)
        .bind(run_at)
        .bind(self.tx.now());
        self.tx.execute_one("tasks.postpone", sql).await
    }

    /// Ends a task; says whether the lease still held.
    pub async fn end(
        &mut self,
        id: TaskId,
        fencing: i64,
        stage: &str,
        status: OperationStatus,
        error: Option<&OperationError>,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE tasks SET stage = $3, status = $4, error_code = $5, error_message = $6,
                 ended_at = $7, updated_at = $7, lease_until = 0,
                 progress = CASE WHEN $4 = 'success' THEN 100 ELSE progress END
             WHERE id = $1 AND fencing = $2 AND status = 'running'",
        )
        .bind(id)
        .bind(fencing)
        .bind(stage)
        .bind(status.as_str())
        .bind(error.map(|error| &error.code))
        .bind(error.map(|error| &error.message))
        .bind(self.tx.now());
        self.tx.execute_one("tasks.end", sql).await
    }

    /// Replaces the particulars that the operation log shows.
    pub async fn set_details(
        &mut self,
        id: TaskId,
        details: &OperationDetails,
    ) -> Result<(), DbError> {
        let sql = Sql::new("UPDATE tasks SET details = $2 WHERE id = $1");
        let sql = sql.bind(id).bind(crate::row::to_json(details));
        self.tx.execute("tasks.set_details", sql).await.map(drop)
    }

    /// The oldest task with this exclusive key that has not ended (BAK-25).
    pub async fn find_by_key(&mut self, key: &str) -> Result<Option<TaskRecord>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM tasks WHERE exclusive_key = $1 AND status IN ('waiting', 'running')
             ORDER BY created_at, id LIMIT 1",
        );
        let row = self.tx.row("tasks.find_by_key", "tasks", sql.bind(key)).await?;
        row.map(|row| task_record(&row)).transpose()
    }

    /// The tasks of a backup that have not ended, oldest first.
    pub async fn list_by_backup(&mut self, backup: BackupId) -> Result<Vec<TaskRecord>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM tasks WHERE backup_id = $1 AND status IN ('waiting', 'running')
             ORDER BY created_at, id",
        );
        let rows = self.tx.rows("tasks.list_by_backup", "tasks", sql.bind(backup)).await?;
        rows.iter().map(task_record).collect()
    }

    /// Those of the backups on which a task of this kind works that has come so far, in per cent.
    pub async fn backups_at(
        &mut self,
        kind: &str,
        percent: u8,
        backups: &[BackupId],
    ) -> Result<BTreeSet<BackupId>, DbError> {
        if backups.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut sql = Sql::new(
            "SELECT backup_id FROM tasks
             WHERE status IN ('waiting', 'running') AND kind = $1 AND progress >= $2",
        )
        .bind(kind)
        .bind(i64::from(percent));
        sql.and_one_of("backup_id", backups.iter().copied());
        let rows = self.tx.rows("tasks.backups_at", "tasks", sql).await?;
        rows.iter().map(|row| row.id("backup_id")).collect()
    }

    /// The ids of all tasks that have not ended: what sweeps must leave alone.
    pub async fn unfinished_ids(&mut self) -> Result<BTreeSet<TaskId>, DbError> {
        let sql = Sql::new("SELECT id FROM tasks WHERE status IN ('waiting', 'running')");
        let rows = self.tx.rows("tasks.unfinished_ids", "tasks", sql).await?;
        rows.iter().map(|row| row.id("id")).collect()
    }

    /// How a task of any project ended, whatever else its row says; none if it is not known.
    pub async fn ended(&mut self, id: TaskId) -> Result<Option<EndedTask>, DbError> {
        let sql = Sql::new(
            "SELECT id, kind, stage, CASE WHEN status = 'success' THEN 1 ELSE 0 END AS is_success
             FROM tasks WHERE id = $1 AND status NOT IN ('waiting', 'running')",
        );
        let row = self.tx.row("tasks.ended", "tasks", sql.bind(id)).await?;
        let ended = |row: Row| {
            let is_success = row.int("is_success")? == 1;
            Ok(EndedTask { is_success, kind: row.text("kind")?, stage: row.text("stage")? })
        };
        row.map(ended).transpose()
    }

    /// All tasks that have not ended, oldest first. One that cannot be read fails it: whoever
    /// concludes something from a task not being there must know of all.
    pub async fn list_unfinished(&mut self) -> Result<Vec<TaskRecord>, DbError> {
        self.unfinished().await?.iter().map(task_record).collect()
    }

    /// Those tasks that have not ended and can be read, oldest first, for what only shows them.
    pub async fn list_readable(&mut self) -> Result<Vec<TaskRecord>, DbError> {
        let readable = |row: &Row| {
            task_record(row)
                .inspect_err(|error| tracing::warn!(%error, "a task cannot be shown"))
                .ok()
        };
        Ok(self.unfinished().await?.iter().filter_map(readable).collect())
    }

    async fn unfinished(&mut self) -> Result<Vec<Row>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM tasks WHERE status IN ('waiting', 'running') ORDER BY created_at, id",
        );
        self.tx.rows("tasks.unfinished", "tasks", sql).await
    }

    /// When the next task that nobody holds becomes due.
    pub async fn next_run_at(&mut self) -> Result<Option<Timestamp>, DbError> {
        let sql = Sql::new(
            "SELECT MIN(run_at) AS run_at FROM tasks
             WHERE status IN ('waiting', 'running') AND lease_until = 0",
        );
        let row = self.tx.row("tasks.next_run_at", "tasks", sql).await?;
        Ok(row.map(|row| row.time_opt("run_at")).transpose()?.flatten())
    }

    /// Forgets tasks that ended before `time` (TSK-01); says how many.
    pub async fn delete_ended_before(&mut self, time: Timestamp) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM tasks WHERE ended_at < $1").bind(time);
        self.tx.execute("tasks.delete_ended_before", sql).await
    }
}
