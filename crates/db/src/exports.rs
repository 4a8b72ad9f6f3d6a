//! Table `exports`: backups that are given out as disks.

use cbr_model::export::Export;
use cbr_model::{BackupId, ExportId, ProjectId, VaultId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of exports.
#[derive(Debug)]
pub struct Exports<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Exports<'_> {
    /// Adds an export.
    pub async fn insert(&mut self, export: &Export) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO exports
                 (id, project_id, backup_id, node, writable, opened, closing, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(export.id)
        .bind(export.project)
        .bind(export.backup)
        .bind(&export.node)
        .bind(export.writable)
        .bind(export.opened)
        .bind(export.closing)
        .bind(export.created_at);
        self.tx.execute("exports.insert", sql).await.map(drop)
    }

    /// A project's exports, of this backup only if one is named, oldest first.
    pub async fn list(
        &mut self,
        project: ProjectId,
        backup: Option<BackupId>,
    ) -> Result<Vec<Export>, DbError> {
        let mut sql = Sql::new("SELECT * FROM exports WHERE project_id = $1").bind(project);
        sql.and_equal("backup_id", backup);
        sql.text(" ORDER BY created_at, id");
        self.all("exports.list", sql).await
    }

    /// All exports of a machine, oldest first.
    pub async fn list_of_node(&mut self, node: &str) -> Result<Vec<Export>, DbError> {
        let sql = Sql::new("SELECT * FROM exports WHERE node = $1 ORDER BY created_at, id");
        self.all("exports.list_of_node", sql.bind(node)).await
    }

    /// The exports of a vault's backups and their disks, oldest first.
    pub async fn list_of_vault(&mut self, vault: VaultId) -> Result<Vec<Export>, DbError> {
        let sql = Sql::new(
            "SELECT e.* FROM exports e JOIN backups b ON b.id = e.backup_id
             WHERE b.vault_id = $1 ORDER BY e.created_at, e.id",
        );
        self.all("exports.list_of_vault", sql.bind(vault)).await
    }

    /// Notes that an export's place was made; says whether there is one that is not being ended.
    pub async fn set_opened(&mut self, id: ExportId) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE exports SET opened = 1 WHERE id = $1 AND closing = 0");
        self.tx.execute_one("exports.set_opened", sql.bind(id)).await
    }

    /// Marks an export as being ended; says whether there was one.
    pub async fn begin_close(&mut self, project: ProjectId, id: ExportId) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE exports SET closing = 1 WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("exports.begin_close", sql.bind(project).bind(id)).await
    }

    /// Removes an export that is being ended; says whether there was one.
    pub async fn delete(&mut self, id: ExportId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM exports WHERE id = $1 AND closing = 1");
        self.tx.execute_one("exports.delete", sql.bind(id)).await
    }

    async fn all(&mut self, name: &'static str, sql: Sql) -> Result<Vec<Export>, DbError> {
        let rows = self.tx.rows(name, "exports", sql).await?;
        rows.iter().map(export).collect()
    }
}

fn export(row: &Row) -> Result<Export, DbError> {
    Ok(Export {
        id: row.id("id")?,
        project: row.id("project_id")?,
        backup: row.id("backup_id")?,
        node: row.text("node")?,
        writable: row.flag("writable")?,
        opened: row.flag("opened")?,
        closing: row.flag("closing")?,
        created_at: row.time("created_at")?,
    })
}
