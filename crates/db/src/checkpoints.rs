//! Table `checkpoints`: runs over vaults. Their status follows from their backups.

use cbr_model::checkpoint::Checkpoint;
use cbr_model::{CheckpointId, ProjectId};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of checkpoints.
#[derive(Debug)]
pub struct Checkpoints<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Checkpoints<'_> {
    /// Adds a checkpoint.
    pub async fn insert(&mut self, checkpoint: &Checkpoint) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO checkpoints (id, project_id, vault_id, name, description, retention_days,
                 created_at, skipped)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(checkpoint.id)
        .bind(checkpoint.project)
        .bind(checkpoint.vault)
        .bind(&checkpoint.name)
        .bind(&checkpoint.description)
        .bind(checkpoint.retention_days)
        .bind(checkpoint.created_at)
        .bind(to_json(&checkpoint.skipped));
        self.tx.execute("checkpoints.insert", sql).await.map(drop)
    }

    /// A project's checkpoint with this id.
    pub async fn find(
        &mut self,
        project: ProjectId,
        id: CheckpointId,
    ) -> Result<Option<Checkpoint>, DbError> {
        let sql = Sql::new("SELECT * FROM checkpoints WHERE project_id = $1 AND id = $2");
        let sql = sql.bind(project).bind(id);
        let row = self.tx.row("checkpoints.find", "checkpoints", sql).await?;
        row.map(|row| checkpoint(&row)).transpose()
    }

    /// Removes a checkpoint once it has no backups; says whether it went.
    pub async fn delete_if_empty(
        &mut self,
        project: ProjectId,
        id: CheckpointId,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "DELETE FROM checkpoints WHERE project_id = $1 AND id = $2
             AND NOT EXISTS (SELECT 1 FROM backups b WHERE b.checkpoint_id = checkpoints.id)",
        );
        self.tx.execute_one("checkpoints.delete_if_empty", sql.bind(project).bind(id)).await
    }
}

fn checkpoint(row: &Row) -> Result<Checkpoint, DbError> {
    Ok(Checkpoint {
        id: row.id("id")?,
        project: row.id("project_id")?,
        vault: row.id("vault_id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        retention_days: row.int("retention_days")?,
        created_at: row.time("created_at")?,
        skipped: row.json("skipped")?,
    })
}
