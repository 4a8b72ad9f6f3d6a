//! Table `vault_points`: how full vaults were.

use cbr_model::metric::{Point, Summaries, Width, joined};
use cbr_model::vault::Vault;
use cbr_model::{ProjectId, VaultId};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;
use crate::vault_rows;

/// The table of what was measured.
#[derive(Debug)]
pub struct VaultPoints<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl VaultPoints<'_> {
    /// At most `limit` vaults that have not been measured in a slot, complete.
    pub async fn due(&mut self, slot: i64, limit: u32) -> Result<Vec<Vault>, DbError> {
        let sql = Sql::new(
            "SELECT v.* FROM vaults v WHERE NOT EXISTS (SELECT 1 FROM vault_points p
                 WHERE p.vault_id = v.id AND p.width = 900 AND p.slot = $1)
             ORDER BY v.id LIMIT $2",
        );
        let sql = sql.bind(slot).bind(limit);
        let rows = self.tx.rows("vault_points.due", "vaults", sql).await?;
        vault_rows::load(self.tx, &rows).await
    }

    /// Keeps what was measured in a slot, and adds it to its hour and its day. Says whether it was the
    /// first for that vault and slot; later ones change nothing (MON-02).
    pub async fn record(
        &mut self,
        (project, vault): (ProjectId, VaultId),
        slot: i64,
        summaries: &Summaries,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "INSERT INTO vault_points (vault_id, project_id, width, slot, summary)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (vault_id, width, slot) DO NOTHING",
        );
        let width = Width::Slot.seconds();
        let sql = sql.bind(vault).bind(project).bind(width).bind(slot).bind(to_json(summaries));
        if !self.tx.execute_one("vault_points.record", sql).await? {
            return Ok(false);
        }
        for wider in [Width::Hour, Width::Day] {
            let at = (slot * width).div_euclid(wider.seconds());
            let known = self.summary(vault, wider, at).await?;
            let all = known.map_or_else(|| summaries.clone(), |known| joined(known, summaries));
            let sql = Sql::new(
                "INSERT INTO vault_points (vault_id, project_id, width, slot, summary)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (vault_id, width, slot) DO UPDATE SET summary = excluded.summary",
            )
            .bind(vault)
            .bind(project)
            .bind(wider.seconds())
            .bind(at)
            .bind(to_json(&all));
            self.tx.execute("vault_points.record", sql).await?;
        }
        Ok(true)
    }

    async fn summary(
        &mut self,
        vault: VaultId,
        width: Width,
        slot: i64,
    ) -> Result<Option<Summaries>, DbError> {
        let sql = Sql::new(
            "SELECT summary FROM vault_points WHERE vault_id = $1 AND width = $2 AND slot = $3",
        );
        let sql = sql.bind(vault).bind(width.seconds()).bind(slot);
        let row = self.tx.row("vault_points.summary", "vault_points", sql).await?;
        row.map(|row| row.json("summary")).transpose()
    }

    /// What is kept of a project's vault from slot `from` to slot `to` of that width, in order of
    /// time, at most `limit` rows. A vault that is gone keeps its rows until they are too old.
    pub async fn list(
        &mut self,
        (project, vault): (ProjectId, VaultId),
        width: Width,
        (from, to): (i64, i64),
        limit: u32,
    ) -> Result<Vec<Point>, DbError> {
        let sql = Sql::new(
            "SELECT slot, summary FROM vault_points
             WHERE vault_id = $1 AND project_id = $2 AND width = $3 AND slot BETWEEN $4 AND $5
             ORDER BY slot LIMIT $6",
        )
        .bind(vault)
        .bind(project)
        .bind(width.seconds())
        .bind(from)
        .bind(to)
        .bind(limit);
        let rows = self.tx.rows("vault_points.list", "vault_points", sql).await?;
        let point = |row: &Row| {
            Ok(Point {
                begin: row.int("slot")?.saturating_mul(width.seconds()),
                summaries: row.json("summary")?,
            })
        };
        rows.iter().map(point).collect()
    }

    /// Forgets at most `limit` rows of a width that are older than slot `before`; says how many went.
    pub async fn forget(&mut self, width: Width, before: i64, limit: u32) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM vault_points WHERE width = $1 AND slot < $2 AND (vault_id, slot) IN
                 (SELECT vault_id, slot FROM vault_points WHERE width = $1 AND slot < $2
                  ORDER BY slot LIMIT $3)",
        );
        let sql = sql.bind(width.seconds()).bind(before).bind(limit);
        self.tx.execute("vault_points.forget", sql).await
    }
}
