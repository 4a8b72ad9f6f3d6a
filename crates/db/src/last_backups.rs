//! The newest backups of what is bound: for gauges.

use cbr_model::metric::{Summaries, Width};
use cbr_model::size::Bytes;
use cbr_model::{ResourceId, Timestamp, VaultId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// How a bound resource is protected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastBackup {
    /// The resource.
    pub resource: ResourceId,
    /// Whether its newest backup that is over went well; none: there is none.
    pub is_good: Option<bool>,
    /// Its newest restore point.
    pub restore_point: Option<RestorePoint>,
}

/// A restore point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestorePoint {
    /// When it was asked for.
    pub began: Timestamp,
    /// When it was whole.
    pub at: Timestamp,
    /// What it holds, all disks together.
    pub bytes: Bytes,
}

/// Questions about newest backups.
#[derive(Debug)]
pub struct LastBackups<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl LastBackups<'_> {
    /// How each bound resource is protected, at most `limit` of them.
    pub async fn list(&mut self, limit: u32) -> Result<Vec<LastBackup>, DbError> {
        let sql = Sql::new(
            "SELECT r.resource_id AS id, l.status AS status, g.created_at AS began,
                 g.protected_at AS protected_at,
                 CAST(g.logical_bytes + (SELECT COALESCE(SUM(x.logical_bytes), 0) FROM backups x
                       WHERE x.parent_id = g.id) AS BIGINT) AS bytes
             FROM vault_resources r
             LEFT JOIN backups l ON l.id = (SELECT b.id FROM backups b
                 WHERE b.vault_id = r.vault_id AND b.root_resource_id = r.resource_id
                     AND b.parent_id IS NULL AND b.status <> 'protecting'
                 ORDER BY b.created_at DESC, b.id DESC LIMIT 1)
             LEFT JOIN backups g ON g.id = (SELECT b.id FROM backups b
                 WHERE b.vault_id = r.vault_id AND b.root_resource_id = r.resource_id
                     AND b.parent_id IS NULL AND b.protected_at IS NOT NULL
                     AND b.status IN ('available', 'restoring')
                 ORDER BY b.created_at DESC, b.id DESC LIMIT 1)
             ORDER BY r.resource_id LIMIT $1",
        );
        let rows = self.tx.rows("last_backups.list", "vault_resources", sql.bind(limit)).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let status = row.text_opt("status")?;
            let restore_point = match (row.time_opt("began")?, row.time_opt("protected_at")?) {
                (Some(began), Some(at)) => {
                    Some(RestorePoint { began, at, bytes: row.bytes("bytes")? })
                }
                _ => None,
            };
            all.push(LastBackup {
                resource: row.id("id")?,
                is_good: status.map(|status| status != "error"),
                restore_point,
            });
        }
        Ok(all)
    }

    /// What was measured of vaults in a slot, at most `limit` of them.
    pub async fn usage(
        &mut self,
        slot: i64,
        limit: u32,
    ) -> Result<Vec<(VaultId, Summaries)>, DbError> {
        let sql = Sql::new(
            "SELECT vault_id, summary FROM vault_points WHERE width = $1 AND slot = $2
             ORDER BY vault_id LIMIT $3",
        );
        let sql = sql.bind(Width::Slot.seconds()).bind(slot).bind(limit);
        let rows = self.tx.rows("last_backups.usage", "vault_points", sql).await?;
        rows.iter().map(|row| Ok((row.id("vault_id")?, row.json("summary")?))).collect()
    }
}
