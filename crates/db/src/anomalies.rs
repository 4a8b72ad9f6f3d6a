//! Tables `anomalies` and `backup_figures`: by what backups are compared, and which are unlike.

use cbr_model::anomaly::{Anomaly, Figures};
use cbr_model::{BackupId, ChainId, ProjectId, ResourceId, VaultId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// So many figures of a resource are kept.
const FIGURES_MAX: u32 = 100;
/// The most a list has.
const LIST_MAX: u32 = 1000;

/// The table of anomalies.
#[derive(Debug)]
pub struct Anomalies<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Anomalies<'_> {
    /// Notes what an incremental backup changed.
    pub async fn note_figures(
        &mut self,
        chain: ChainId,
        backup: BackupId,
        figures: Figures,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_figures (backup_id, chain_id, made_at, disk_bytes, changed_bytes,
                 added_bytes)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (backup_id) DO NOTHING",
        )
        .bind(backup)
        .bind(chain)
        .bind(self.tx.now())
        .bind(figures.disk)
        .bind(figures.changed)
        .bind(figures.added);
        self.tx.execute("anomalies.note_figures", sql).await?;
        // Only the newest are ever compared with.
        let sql = Sql::new(
            "DELETE FROM backup_figures WHERE chain_id = $1 AND backup_id NOT IN (
                 SELECT backup_id FROM backup_figures WHERE chain_id = $1
                 ORDER BY made_at DESC, backup_id LIMIT $2)",
        );
        let sql = sql.bind(chain).bind(FIGURES_MAX);
        self.tx.execute("anomalies.note_figures", sql).await.map(drop)
    }

    /// The figures of a resource's last incremental backups, the newest first; also of those that are
    /// deleted by now.
    pub async fn figures(
        &mut self,
        chain: ChainId,
        limit: u32,
    ) -> Result<Vec<(BackupId, Figures)>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM backup_figures WHERE chain_id = $1
             ORDER BY made_at DESC, backup_id LIMIT $2",
        );
        let sql = sql.bind(chain).bind(limit);
        let rows = self.tx.rows("anomalies.figures", "backup_figures", sql).await?;
        rows.iter()
            .map(|row| {
                let figures = Figures {
                    disk: row.bytes("disk_bytes")?,
                    changed: row.bytes("changed_bytes")?,
                    added: row.bytes("added_bytes")?,
                };
                Ok((row.id("backup_id")?, figures))
            })
            .collect()
    }

    /// Notes one. A backup that was noted before stays as it was.
    pub async fn insert(&mut self, anomaly: &Anomaly) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO anomalies (backup_id, project_id, vault_id, resource_id, clean_backup_id,
                 what, found_at, confirmed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (backup_id) DO NOTHING",
        )
        .bind(anomaly.backup)
        .bind(anomaly.project)
        .bind(anomaly.vault)
        .bind(anomaly.resource)
        .bind(anomaly.clean)
        .bind(&anomaly.what)
        .bind(anomaly.found_at)
        .bind(anomaly.confirmed_at);
        self.tx.execute("anomalies.insert", sql).await.map(drop)
    }

    /// Whether something of the resource waits to be confirmed.
    pub async fn is_open(&mut self, vault: VaultId, resource: ResourceId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM anomalies
             WHERE vault_id = $1 AND resource_id = $2 AND confirmed_at IS NULL",
        );
        let count = self.tx.number("anomalies.is_open", sql.bind(vault).bind(resource)).await?;
        Ok(count > 0)
    }

    /// A project's, the latest first; at most a thousand.
    pub async fn list(
        &mut self,
        project: ProjectId,
        only_open: bool,
    ) -> Result<Vec<Anomaly>, DbError> {
        let mut sql = Sql::new("SELECT * FROM anomalies WHERE project_id = $1").bind(project);
        if only_open {
            sql.text(" AND confirmed_at IS NULL");
        }
        sql.text(" ORDER BY found_at DESC, backup_id LIMIT ").value(LIST_MAX);
        let rows = self.tx.rows("anomalies.list", "anomalies", sql).await?;
        rows.iter().map(anomaly).collect()
    }

    /// Confirms that of a backup; gives it, if there is one that waits.
    pub async fn confirm(
        &mut self,
        project: ProjectId,
        backup: BackupId,
    ) -> Result<Option<Anomaly>, DbError> {
        let sql = Sql::new(
            "UPDATE anomalies SET confirmed_at = $3
             WHERE project_id = $1 AND backup_id = $2 AND confirmed_at IS NULL",
        );
        let now = self.tx.now();
        let sql = sql.bind(project).bind(backup).bind(now);
        if !self.tx.execute_one("anomalies.confirm", sql).await? {
            return Ok(None);
        }
        let sql = Sql::new("SELECT * FROM anomalies WHERE backup_id = $1").bind(backup);
        let row = self.tx.row("anomalies.confirm", "anomalies", sql).await?;
        row.map(|row| anomaly(&row)).transpose()
    }
}

fn anomaly(row: &Row) -> Result<Anomaly, DbError> {
    Ok(Anomaly {
        backup: row.id("backup_id")?,
        project: row.id("project_id")?,
        vault: row.id("vault_id")?,
        resource: row.id("resource_id")?,
        clean: row.id_opt("clean_backup_id")?,
        what: row.text("what")?,
        found_at: row.time("found_at")?,
        confirmed_at: row.time_opt("confirmed_at")?,
    })
}
