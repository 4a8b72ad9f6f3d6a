//! Numbers for Prometheus that are true of the database, not of this process: every node shows the
//! same. They are read once a minute, and of a limited number of things, so that the page stays one
//! that can be read.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use cbr_db::{DbError, LastBackup, Tx};
use cbr_model::event::EventKind;
use cbr_model::metric::{Filter, Metric, slot_at};
use cbr_model::size::GIB;
use cbr_model::topic::DeliveryStatus;
use cbr_model::{Timestamp, VaultId};

use super::service::Monitoring;
use crate::Result;
use crate::error::db;

/// Most resources, and most vaults, that have numbers of their own.
const THINGS_MAX: u32 = 5000;
/// Of a resource.
const OF_RESOURCES: [&str; 5] = [
    "cbr_backup_last_success_timestamp_seconds",
    "cbr_backup_age_seconds",
    "cbr_backup_last_size_bytes",
    "cbr_backup_last_duration_seconds",
    "cbr_backup_last_result",
];
/// Of a vault.
const OF_VAULTS: [&str; 2] = ["cbr_vault_used_bytes", "cbr_vault_usage_ratio"];

/// What was shown last: what is gone since is taken back.
#[derive(Debug, Default)]
pub(super) struct Shown {
    resources: Mutex<HashSet<String>>,
    vaults: Mutex<HashSet<String>>,
}

impl Monitoring {
    /// Shows how everything stands.
    pub async fn show(&self) -> Result<u64> {
        let doing = "reading numbers for Prometheus";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let now = self.core.clock.now();
        let backups = tx.last_backups().list(THINGS_MAX).await.map_err(db(doing))?;
        for one in &backups {
            show_backup(one, now);
        }
        let ids = backups.iter().map(|one| one.resource.to_string()).collect();
        take_back(&self.shown.resources, "resource", &OF_RESOURCES, ids);
        let usage = tx.last_backups().usage(slot_at(now), THINGS_MAX).await.map_err(db(doing))?;
        for (vault, summaries) in &usage {
            for (name, metric, factor) in [
                (OF_VAULTS[0], Metric::UsedVaultSize, GIB as f64),
                (OF_VAULTS[1], Metric::VaultUtilRaw, 0.01),
            ] {
                let value = summaries.get(&metric).map_or(0.0, |one| one.value(Filter::Max));
                metrics::gauge!(name, "vault" => vault.to_string()).set(value * factor);
            }
        }
        let ids = usage.iter().map(|(vault, _): &(VaultId, _)| vault.to_string()).collect();
        take_back(&self.shown.vaults, "vault", &OF_VAULTS, ids);
        show_counts(&mut tx).await.map_err(db(doing))?;
        Ok(0)
    }
}

fn show_backup(one: &LastBackup, now: Timestamp) {
    let gauge = |name: &'static str| metrics::gauge!(name, "resource" => one.resource.to_string());
    if let Some(is_good) = one.is_good {
        gauge("cbr_backup_last_result").set(f64::from(u8::from(is_good)));
    }
    if let Some(point) = one.restore_point {
        gauge("cbr_backup_last_success_timestamp_seconds").set(point.at.seconds() as f64);
        gauge("cbr_backup_age_seconds").set(now.micros_since(point.at) as f64 / 1e6);
        gauge("cbr_backup_last_size_bytes").set(point.bytes.0 as f64);
        gauge("cbr_backup_last_duration_seconds")
            .set(point.at.micros_since(point.began) as f64 / 1e6);
    }
}

/// A recorder forgets nothing; what is gone is set to NaN and not shown.
fn take_back(
    shown: &Mutex<HashSet<String>>,
    label: &'static str,
    names: &[&'static str],
    now: HashSet<String>,
) {
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    for gone in shown.difference(&now) {
        for name in names {
            metrics::gauge!(*name, label => gone.clone()).set(f64::NAN);
        }
    }
    *shown = now;
}

async fn show_counts(tx: &mut Tx) -> std::result::Result<(), DbError> {
    let events = tx.events().counts().await?;
    for kind in EventKind::ALL {
        let count = events.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count);
        metrics::gauge!("cbr_events", "event" => kind.as_str()).set(count as f64);
    }
    let kept = tx.retention().count_rebuilt().await?;
    metrics::gauge!("cbr_backups_kept_after_rebuild").set(kept as f64);
    let deliveries = tx.deliveries().counts().await?;
    for status in [DeliveryStatus::Waiting, DeliveryStatus::Sent, DeliveryStatus::Dead] {
        let found = deliveries.iter().find(|(known, _)| *known == status);
        let count = found.map_or(0, |(_, count)| *count);
        metrics::gauge!("cbr_deliveries", "status" => status.as_str()).set(count as f64);
    }
    Ok(())
}
