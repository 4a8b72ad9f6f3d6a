//! Table `vault_levels`: whether a vault was above its threshold, and its capacity, when it was last
//! looked at.

use std::collections::BTreeMap;

use cbr_model::VaultId;

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of levels.
#[derive(Debug)]
pub struct VaultLevels<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl VaultLevels<'_> {
    /// Whether these vaults were above threshold, and above capacity; those that are not there were neither.
    pub async fn find(
        &mut self,
        vaults: &[VaultId],
    ) -> Result<BTreeMap<VaultId, (bool, bool)>, DbError> {
        if vaults.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut sql = Sql::new("SELECT * FROM vault_levels WHERE 1 = 1");
        sql.and_one_of("vault_id", vaults.iter().copied());
        let rows = self.tx.rows("vault_levels.find", "vault_levels", sql).await?;
        let levels = |row: &Row| Ok((row.flag("over_threshold")?, row.flag("over_capacity")?));
        rows.iter().map(|row| Ok((row.id("vault_id")?, levels(row)?))).collect()
    }

    /// Notes where it is now.
    pub async fn set(
        &mut self,
        vault: VaultId,
        (over_threshold, over_capacity): (bool, bool),
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO vault_levels (vault_id, over_threshold, over_capacity) VALUES ($1, $2, $3)
             ON CONFLICT (vault_id) DO UPDATE SET over_threshold = excluded.over_threshold,
                 over_capacity = excluded.over_capacity",
        )
        .bind(vault)
        .bind(over_threshold)
        .bind(over_capacity);
        self.tx.execute("vault_levels.set", sql).await.map(drop)
    }

    /// Forgets vaults that are gone; says how many.
    pub async fn forget_gone(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM vault_levels WHERE NOT EXISTS
                 (SELECT 1 FROM vaults v WHERE v.id = vault_levels.vault_id)",
        );
        self.tx.execute("vault_levels.forget_gone", sql).await
    }
}
