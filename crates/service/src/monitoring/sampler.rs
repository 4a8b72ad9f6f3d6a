//! Measures every vault once in each slot, and forgets what is too old.

use cbr_db::{MEASURED_MAX, MeasuredVault};
use cbr_model::metric::{Width, measured};
use cbr_model::vault::Vault;

use super::service::Monitoring;
use crate::Result;
use crate::alarms::note_usage;
use crate::error::db;

/// Rows that are forgotten in one transaction.
const FORGET: u32 = 5000;
const DAY_SECONDS: i64 = 86_400;

impl Monitoring {
    /// Measures every vault that has not been measured in a slot, which is that of now, by whatever
    /// node (MON-02, MON-03); says how many.
    pub async fn sample(&self, slot: i64) -> Result<u64> {
        let doing = "measuring vaults";
        let (mut count, mut after) = (0, None);
        loop {
            let mut tx = self.core.db.read().await.map_err(db(doing))?;
            let is_due =
                !tx.vault_points().due(slot, after, 1).await.map_err(db(doing))?.is_empty();
            drop(tx);
            if !is_due {
                return Ok(count);
            }
            // In pages: others want to write as well.
            let mut tx = self.core.db.begin().await.map_err(db(doing))?;
            let due = tx.vault_points().due(slot, after, MEASURED_MAX).await.map_err(db(doing))?;
            after = due.last().map(|vault| vault.id).or(after);
            let found: Vec<MeasuredVault> = due.iter().map(measured_vault).collect();
            let firsts = tx.vault_points().record(slot, &found).await.map_err(db(doing))?;
            count += firsts.len() as u64;
            note_usage(&mut tx, &due).await.map_err(db(doing))?;
            tx.commit().await.map_err(db(doing))?;
        }
    }

    /// Forgets what was measured too long ago to be kept; says how many rows.
    pub async fn forget_points(&self) -> Result<u64> {
        let doing = "forgetting old measurements";
        let now = self.core.clock.now();
        let mut count = 0;
        for width in Width::ALL {
            let days = match width {
                Width::Slot => self.options.slot_days,
                Width::Hour => self.options.hour_days,
                Width::Day => self.options.day_days,
            };
            let before = width.slot_at(now.plus_seconds(-i64::from(days) * DAY_SECONDS));
            loop {
                let mut tx = self.core.db.begin().await.map_err(db(doing))?;
                let gone = tx.vault_points().forget(width, before, FORGET).await;
                let gone = gone.map_err(db(doing))?;
                tx.commit().await.map_err(db(doing))?;
                count += gone;
                if gone < u64::from(FORGET) {
                    break;
                }
            }
        }
        Ok(count)
    }
}

fn measured_vault(vault: &Vault) -> MeasuredVault {
    let summaries = measured(vault.used, vault.size);
    MeasuredVault { project: vault.project, vault: vault.id, summaries }
}
