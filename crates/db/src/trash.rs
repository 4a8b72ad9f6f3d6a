//! Tables `trashed_backups`, `trashed_checkpoints`: what was deleted and can be taken back.
//!
//! Rows move between them and `backups`, `checkpoints` as they are, in one statement each, so what
//! comes back is what went.

use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::operation::OperationType;
use cbr_model::size::Bytes;
use cbr_model::{BackupId, ProjectId, Timestamp, VaultId};

use crate::backup_rows::{self, ConsistencyColumns, StateColumns};
use crate::backup_sizes::DueDisk;
use crate::backups::{StoredDisk, each_stored_disk};
use crate::error::DbError;
use crate::row::to_json;
use crate::sql::Sql;
use crate::tx::Tx;

/// The columns of a backup that are the same in both tables, without its vault and its state.
macro_rules! columns {
    () => {
        "id, project_id, checkpoint_id, parent_id, position, root_resource_id, name, description, \
         resource_id, resource_name, resource_kind, resource_size_gib, resource_az, content, \
         logical_bytes, incremental, auto_trigger, system_disk, created_at, protected_at, expired_at, \
         encrypted, app_consistent, app_consistency_code, app_consistency_message"
    };
}

/// Those of a checkpoint, without its vault.
macro_rules! run_columns {
    () => {
        "id, project_id, name, description, retention_days, created_at, skipped"
    };
}

/// A backup goes, and its children. The backup first: they refer to it.
const PUT: [&str; 2] = [
    concat!(
        "INSERT INTO trashed_backups (vault_id, updated_at, trashed_at, metadata, ",
        columns!(),
        ")
         SELECT vault_id, updated_at, $3, metadata, ",
        columns!(),
        " FROM backups
         WHERE id = $1 AND project_id = $2 AND status = 'deleting' AND content IS NOT NULL"
    ),
    concat!(
        "INSERT INTO trashed_backups (vault_id, updated_at, trashed_at, metadata, ",
        columns!(),
        ")
         SELECT vault_id, updated_at, $3, metadata, ",
        columns!(),
        " FROM backups
         WHERE parent_id = $1 AND project_id = $2 AND content IS NOT NULL
         AND EXISTS (SELECT 1 FROM trashed_backups t WHERE t.id = $1)"
    ),
];

/// And comes back.
const TAKE_BACK: [&str; 2] = [
    concat!(
        "INSERT INTO backups (vault_id, status, updated_at, metadata, ",
        columns!(),
        ")
         SELECT $3, 'available', $4, metadata, ",
        columns!(),
        " FROM trashed_backups
         WHERE id = $1 AND project_id = $2 AND parent_id IS NULL"
    ),
    concat!(
        "INSERT INTO backups (vault_id, status, updated_at, metadata, ",
        columns!(),
        ")
         SELECT $3, 'available', $4, metadata, ",
        columns!(),
        " FROM trashed_backups
         WHERE parent_id = $1 AND project_id = $2"
    ),
];

/// A backup's place among those that are to be given up: when it was deleted, and which it is.
pub type TrashPlace = (Timestamp, BackupId);

/// A backup in the trash.
#[derive(Clone, PartialEq, Debug)]
pub struct TrashedBackup {
    /// As it was before it was deleted, with its children; available, because it would be.
    pub backup: Backup,
    /// When it was deleted.
    pub trashed_at: Timestamp,
}

/// The tables of the trash.
#[derive(Debug)]
pub struct Trash<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Trash<'_> {
    /// Moves a backup that is being deleted, and its children, from the catalogue to the trash; says
    /// whether it was. One without content is not moved: there is nothing to be had back.
    pub async fn put(&mut self, project: ProjectId, id: BackupId) -> Result<bool, DbError> {
        let checkpoint = Sql::new(concat!(
            "INSERT INTO trashed_checkpoints (vault_id, ",
            run_columns!(),
            ")
             SELECT vault_id, ",
            run_columns!(),
            " FROM checkpoints
             WHERE id = (SELECT b.checkpoint_id FROM backups b WHERE b.id = $1 AND b.project_id = $2
                         AND b.status = 'deleting' AND b.content IS NOT NULL)
             ON CONFLICT (id) DO NOTHING"
        ));
        self.tx.execute("trash.put", checkpoint.bind(id).bind(project)).await?;
        let now = self.tx.now();
        let mut moved = 0;
        for sql in PUT {
            let sql = Sql::new(sql).bind(id).bind(project).bind(now);
            moved += self.tx.execute("trash.put", sql).await?;
        }
        if moved > 0 {
            self.tx.backups().delete(project, id, "deleting").await?;
        }
        Ok(moved > 0)
    }

    /// Moves a backup with its children back to the catalogue, into `vault`; says whether it was there.
    /// The vault exists.
    pub async fn take_back(
        &mut self,
        project: ProjectId,
        id: BackupId,
        vault: VaultId,
    ) -> Result<bool, DbError> {
        let checkpoint = Sql::new(concat!(
            "INSERT INTO checkpoints (vault_id, ",
            run_columns!(),
            ")
             SELECT $3, ",
            run_columns!(),
            " FROM trashed_checkpoints
             WHERE id = (SELECT b.checkpoint_id FROM trashed_backups b
                         WHERE b.id = $1 AND b.project_id = $2)
             ON CONFLICT (id) DO NOTHING"
        ));
        let checkpoint = checkpoint.bind(id).bind(project).bind(vault);
        self.tx.execute("trash.take_back", checkpoint).await?;
        let now = self.tx.now();
        let mut moved = 0;
        for sql in TAKE_BACK {
            let sql = Sql::new(sql).bind(id).bind(project).bind(vault).bind(now);
            moved += self.tx.execute("trash.take_back", sql).await?;
        }
        self.forget(project, id).await?;
        Ok(moved > 0)
    }

    /// Removes a backup with its children from the trash, and its run with the last one; says whether
    /// it was there.
    pub async fn forget(&mut self, project: ProjectId, id: BackupId) -> Result<bool, DbError> {
        self.touch_disks_of(project, id).await?;
        let sql = Sql::new("DELETE FROM trashed_backups WHERE project_id = $1 AND id = $2");
        let is_gone = self.tx.execute_one("trash.forget", sql.bind(project).bind(id)).await?;
        let runs = Sql::new(
            "DELETE FROM trashed_checkpoints WHERE project_id = $1 AND NOT EXISTS
                 (SELECT 1 FROM trashed_backups b WHERE b.checkpoint_id = trashed_checkpoints.id)",
        );
        self.tx.execute("trash.forget", runs.bind(project)).await?;
        Ok(is_gone)
    }

    /// What the disks' other backups cost changes when one comes back, and when it is given up.
    async fn touch_disks_of(&mut self, project: ProjectId, id: BackupId) -> Result<(), DbError> {
        let sql = Sql::new(
            "SELECT DISTINCT resource_id FROM trashed_backups
             WHERE project_id = $1 AND (id = $2 OR parent_id = $2)",
        );
        let sql = sql.bind(project).bind(id);
        for row in self.tx.rows("trash.disks_of", "trashed_backups", sql).await? {
            let due = DueDisk { project, resource: row.id("resource_id")? };
            self.tx.backup_sizes().touch(due).await?;
        }
        Ok(())
    }

    /// Adds a backup that the repository has in its trash and the database does not know.
    pub async fn insert(
        &mut self,
        backup: &Backup,
        checkpoint: &Checkpoint,
    ) -> Result<(), DbError> {
        let sql = Sql::new(concat!(
            "INSERT INTO trashed_checkpoints (vault_id, ",
            run_columns!(),
            ")
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING"
        ))
        .bind(checkpoint.vault)
        .bind(checkpoint.id)
        .bind(checkpoint.project)
        .bind(&checkpoint.name)
        .bind(&checkpoint.description)
        .bind(checkpoint.retention_days)
        .bind(checkpoint.created_at)
        .bind(to_json(&checkpoint.skipped));
        self.tx.execute("trash.insert", sql).await?;
        for (position, part) in std::iter::once(backup).chain(&backup.children).enumerate() {
            // The backup itself has place 0, its children count from there.
            self.insert_one(part, position.saturating_sub(1), backup).await?;
        }
        Ok(())
    }

    async fn insert_one(
        &mut self,
        part: &Backup,
        position: usize,
        root: &Backup,
    ) -> Result<(), DbError> {
        let state = StateColumns::from(&part.state);
        let consistency = ConsistencyColumns::from(part.app_consistency.as_ref());
        let sql = Sql::new(concat!(            "INSERT INTO trashed_backups (vault_id, updated_at, trashed_at, ", columns!(), ")
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)"))
        .bind(part.vault)
        .bind(part.updated_at)
        .bind(self.tx.now())
        .bind(part.id)
        .bind(part.project)
        .bind(part.checkpoint)
        .bind(part.parent)
        .bind(position)
        .bind(root.resource)
        .bind(part.name.as_str())
        .bind(&part.description)
        .bind(part.resource)
        .bind(&part.resource_name)
        .bind(part.resource_kind.as_str())
        .bind(part.resource_size)
        .bind(&part.resource_az)
        .bind(state.content)
        .bind(state.logical_bytes)
        .bind(part.incremental)
        .bind(part.auto_trigger)
        .bind(part.system_disk)
        .bind(part.created_at)
        .bind(part.protected_at)
        .bind(part.expired_at)
        .bind(part.encrypted)
        .bind(consistency.is_reached)
        .bind(consistency.code)
        .bind(consistency.message);
        self.tx.execute("trash.insert", sql).await.map(drop)
    }

    /// A project's backup in the trash, with its children; never a child alone.
    pub async fn find(
        &mut self,
        project: ProjectId,
        id: BackupId,
    ) -> Result<Option<TrashedBackup>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM trashed_backups WHERE project_id = $1 AND id = $2 AND parent_id IS NULL",
        );
        Ok(self.load("trash.find", sql.bind(project).bind(id)).await?.pop())
    }

    /// A project's trash, what was deleted last first; at most `limit` backups.
    pub async fn list(
        &mut self,
        project: ProjectId,
        limit: i64,
    ) -> Result<Vec<TrashedBackup>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM trashed_backups WHERE project_id = $1 AND parent_id IS NULL
             ORDER BY trashed_at DESC, id LIMIT $2",
        );
        self.load("trash.list", sql.bind(project).bind(limit)).await
    }

    /// What was deleted at or before `end`, in any project, the oldest first; at most `limit`, of those
    /// that follow `after`.
    pub async fn due(
        &mut self,
        end: Timestamp,
        after: Option<TrashPlace>,
        limit: u32,
    ) -> Result<Vec<TrashedBackup>, DbError> {
        let mut sql =
            Sql::new("SELECT * FROM trashed_backups WHERE trashed_at <= $1 AND parent_id IS NULL")
                .bind(end);
        if let Some((at, id)) = after {
            sql.text(" AND (trashed_at > ").value(at).text(" OR (trashed_at = ").value(at);
            sql.text(" AND id > ").value(id).text("))");
        }
        sql.text(" ORDER BY trashed_at, id LIMIT ").value(limit);
        self.load("trash.due", sql).await
    }

    /// Whether a task is taking the backup back.
    pub async fn is_coming_back(&mut self, backup: BackupId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM tasks WHERE backup_id = $1 AND operation = $2
             AND status IN ('waiting', 'running')",
        );
        let sql = sql.bind(backup).bind(OperationType::Undelete.as_str());
        Ok(self.tx.number("trash.is_coming_back", sql).await? > 0)
    }

    /// What the backups will take of a vault's capacity that tasks are still to take back into it.
    pub async fn coming_back(&mut self, vault: VaultId) -> Result<Bytes, DbError> {
        let sql = Sql::new(
            "SELECT COALESCE(CAST(SUM(b.logical_bytes) AS BIGINT), 0) AS n FROM trashed_backups b
             WHERE COALESCE(b.parent_id, b.id) IN (SELECT t.backup_id FROM tasks t
                 WHERE t.vault_id = $1 AND t.operation = $2 AND t.status IN ('waiting', 'running'))",
        );
        let sql = sql.bind(vault).bind(OperationType::Undelete.as_str());
        self.tx.number("trash.coming_back", sql).await.map(Bytes)
    }

    /// Every disk of every project whose content is in the trash, to compare with the store.
    pub async fn stored_disks(&mut self) -> Result<Vec<StoredDisk>, DbError> {
        let sql = Sql::new(
            "SELECT id, project_id, resource_id, created_at, protected_at, content
             FROM trashed_backups ORDER BY id",
        );
        let mut disks = Vec::new();
        let name = ("trash.stored_disks", "trashed_backups");
        each_stored_disk(self.tx, name, sql, |disk| disks.push(disk)).await?;
        Ok(disks)
    }

    async fn load(&mut self, name: &'static str, sql: Sql) -> Result<Vec<TrashedBackup>, DbError> {
        let rows = self.tx.rows(name, "trashed_backups", sql).await?;
        let mut loaded = Vec::with_capacity(rows.len());
        for row in rows {
            let state = |content: Content| BackupState::Available { content };
            let mut backup = backup_rows::backup_in(&row, state(row.json("content")?))?;
            let children =
                Sql::new("SELECT * FROM trashed_backups WHERE parent_id = $1 ORDER BY position");
            let children = children.bind(backup.id);
            for child in self.tx.rows(name, "trashed_backups", children).await? {
                let child = backup_rows::backup_in(&child, state(child.json("content")?))?;
                backup.children.push(child);
            }
            loaded.push(TrashedBackup { backup, trashed_at: row.time("trashed_at")? });
        }
        Ok(loaded)
    }
}
