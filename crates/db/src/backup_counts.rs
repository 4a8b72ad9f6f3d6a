//! Table `backup_counts`: how many backups there are and what they take, per vault, resource and status; and `backup_days`, per project and day.
//!
//! Triggers of the database keep it with every change of a backup (ADR 35). Only who changed rows past
//! the service finds it out of step.

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of counts.
#[derive(Debug)]
pub struct BackupCounts<'t> {
    pub(crate) tx: &'t mut Tx,
}

macro_rules! counted {
    () => {
        "SELECT b.vault_id, b.root_resource_id, b.status, b.project_id,
             CAST(SUM(CASE WHEN b.parent_id IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS backups,
             COUNT(*) AS entries, CAST(SUM(b.logical_bytes) AS BIGINT) AS bytes
         FROM backups b GROUP BY b.vault_id, b.root_resource_id, b.status, b.project_id"
    };
}

macro_rules! counted_days {
    () => {
        "SELECT b.project_id, b.created_at / 86400000000 AS day, COUNT(*) AS backups
         FROM backups b WHERE b.parent_id IS NULL GROUP BY b.project_id, b.created_at / 86400000000"
    };
}

macro_rules! kept_days {
    () => {
        "SELECT project_id, day, backups FROM backup_days"
    };
}

macro_rules! kept {
    () => {
        "SELECT vault_id, resource_id, status, project_id, backups, entries, bytes FROM backup_counts"
    };
}

impl BackupCounts<'_> {
    /// How many rows are not what the backups say, or missing (P17).
    pub async fn differing(&mut self) -> Result<u64, DbError> {
        let of_vaults = [
            concat!("SELECT COUNT(*) AS n FROM (", counted!(), " EXCEPT ", kept!(), ") d"),
            concat!("SELECT COUNT(*) AS n FROM (", kept!(), " EXCEPT ", counted!(), ") d"),
        ];
        let of_days = [
            concat!(
                "SELECT COUNT(*) AS n FROM (",
                counted_days!(),
                " EXCEPT ",
                kept_days!(),
                ") d"
            ),
            concat!(
                "SELECT COUNT(*) AS n FROM (",
                kept_days!(),
                " EXCEPT ",
                counted_days!(),
                ") d"
            ),
        ];
        let mut differing = 0;
        for texts in [of_vaults, of_days] {
            let mut rows = 0;
            for text in texts {
                let found = self.tx.number("backup_counts.differing", Sql::new(text)).await?;
                // A row that is wrong is on both sides.
                rows = found.max(rows);
            }
            differing += rows;
        }
        Ok(differing)
    }

    /// Counts everything anew.
    pub async fn recount(&mut self) -> Result<(), DbError> {
        let name = "backup_counts.recount";
        self.tx.execute(name, Sql::new("DELETE FROM backup_counts")).await?;
        let sql = Sql::new(concat!(
            "INSERT INTO backup_counts
                 (vault_id, resource_id, status, project_id, kind, backups, entries, bytes)
             SELECT c.vault_id, c.root_resource_id, c.status, c.project_id,
                 (SELECT MAX(p.resource_kind) FROM backups p WHERE p.project_id = c.project_id
                  AND p.resource_id = c.root_resource_id AND p.parent_id IS NULL),
                 c.backups, c.entries, c.bytes
             FROM (",
            counted!(),
            ") c"
        ));
        self.tx.execute(name, sql).await?;
        self.tx.execute(name, Sql::new("DELETE FROM backup_days")).await?;
        let sql = Sql::new(concat!(
            "INSERT INTO backup_days (project_id, day, backups) ",
            counted_days!()
        ));
        self.tx.execute(name, sql).await.map(drop)
    }
}
