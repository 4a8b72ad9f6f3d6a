//! Table `vault_points`: how full vaults were.

use std::collections::{BTreeMap, BTreeSet};

use cbr_model::metric::{Point, Summaries, Width, joined};
use cbr_model::vault::Vault;
use cbr_model::{ProjectId, VaultId};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;
use crate::vault_rows;

/// How many vaults go into one statement.
pub const MEASURED_MAX: u32 = 100;

/// How full a vault was found to be.
#[derive(Clone, PartialEq, Debug)]
pub struct MeasuredVault {
    /// Whose.
    pub project: ProjectId,
    /// The vault.
    pub vault: VaultId,
    /// What was found.
    pub summaries: Summaries,
}

/// The table of what was measured.
#[derive(Debug)]
pub struct VaultPoints<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl VaultPoints<'_> {
    /// At most `limit` vaults behind `after` that have not been measured in a slot, complete, in order.
    pub async fn due(
        &mut self,
        slot: i64,
        after: Option<VaultId>,
        limit: u32,
    ) -> Result<Vec<Vault>, DbError> {
        let mut sql = Sql::new(
            "SELECT v.* FROM vaults v WHERE NOT EXISTS (SELECT 1 FROM vault_points p
                 WHERE p.vault_id = v.id AND p.width = 900 AND p.slot = $1)",
        )
        .bind(slot);
        if let Some(after) = after {
            sql.text(" AND v.id > ").value(after);
        }
        sql.text(" ORDER BY v.id LIMIT ").value(limit);
        let rows = self.tx.rows("vault_points.due", "vaults", sql).await?;
        vault_rows::load(self.tx, &rows).await
    }

    /// Keeps what was measured in a slot, at most [`MEASURED_MAX`] different vaults, and adds it to their
    /// hours and days. Says for which vaults it was the first in that slot; later ones change nothing
    /// (MON-02).
    pub async fn record(
        &mut self,
        slot: i64,
        measured: &[MeasuredVault],
    ) -> Result<BTreeSet<VaultId>, DbError> {
        if measured.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows = measured.iter().map(|vault| (vault, Width::Slot, slot, &vault.summaries));
        let mut sql = insertion(rows);
        sql.text(" ON CONFLICT (vault_id, width, slot) DO NOTHING RETURNING vault_id");
        let rows = self.tx.rows("vault_points.record", "vault_points", sql).await?;
        let firsts = rows.iter().map(|row| row.id("vault_id")).collect::<Result<_, _>>()?;
        self.add_up(slot, measured, &firsts).await?;
        Ok(firsts)
    }

    /// Adds what was measured of some vaults to their hours and days.
    async fn add_up(
        &mut self,
        slot: i64,
        measured: &[MeasuredVault],
        firsts: &BTreeSet<VaultId>,
    ) -> Result<(), DbError> {
        if firsts.is_empty() {
            return Ok(());
        }
        let wider = [Width::Hour, Width::Day]
            .map(|width| (width, (slot * Width::Slot.seconds()).div_euclid(width.seconds())));
        let mut known = BTreeMap::new();
        for (width, at) in wider {
            let mut sql = Sql::new(
                "SELECT vault_id, summary FROM vault_points WHERE width = $1 AND slot = $2",
            )
            .bind(width.seconds())
            .bind(at);
            sql.and_one_of("vault_id", firsts.iter().copied());
            for row in self.tx.rows("vault_points.known", "vault_points", sql).await? {
                known.insert((row.id("vault_id")?, width.seconds()), row.json("summary")?);
            }
        }
        let mut all: Vec<(&MeasuredVault, Width, i64, Summaries)> = Vec::new();
        for vault in measured.iter().filter(|vault| firsts.contains(&vault.vault)) {
            for (width, at) in wider {
                let summaries = match known.remove(&(vault.vault, width.seconds())) {
                    Some(known) => joined(known, &vault.summaries),
                    None => vault.summaries.clone(),
                };
                all.push((vault, width, at, summaries));
            }
        }
        let mut sql =
            insertion(all.iter().map(|(vault, width, at, all)| (*vault, *width, *at, all)));
        sql.text(" ON CONFLICT (vault_id, width, slot) DO UPDATE SET summary = excluded.summary");
        self.tx.execute("vault_points.add_up", sql).await.map(drop)
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

/// `INSERT …` of what was measured of a vault in a slot of a width.
fn insertion<'m>(
    rows: impl Iterator<Item = (&'m MeasuredVault, Width, i64, &'m Summaries)>,
) -> Sql {
    let mut sql =
        Sql::new("INSERT INTO vault_points (vault_id, project_id, width, slot, summary) VALUES ");
    for (i, (of, width, slot, summaries)) in rows.enumerate() {
        sql.text(if i > 0 { ", (" } else { "(" });
        sql.value(of.vault).text(", ").value(of.project).text(", ").value(width.seconds());
        sql.text(", ").value(slot).text(", ").value(to_json(summaries)).text(")");
    }
    sql
}
