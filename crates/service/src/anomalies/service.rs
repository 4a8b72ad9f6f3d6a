//! Use cases of anomalies, and how they are found.

use std::sync::Arc;

use cbr_db::{DbError, Tx};
use cbr_model::anomaly::{Anomaly, Figures};
use cbr_model::backup::{Backup, StoredVersion};
use cbr_model::event::EventKind;
use cbr_model::size::Bytes;
use cbr_model::{BackupId, ChainId};

use crate::alarms::NewEvent;
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::rules::anomaly::{EARLIER_MAX, suspicion};
use crate::{Access, Error, Result};

/// Use cases of anomalies.
#[derive(Debug)]
pub struct Anomalies {
    core: Arc<Core>,
}

impl Anomalies {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists them, the latest first (extension).
    pub async fn list(&self, access: &Access, only_open: bool) -> Result<Vec<Anomaly>> {
        let mut tx = self.core.db.read().await.map_err(db("listing anomalies"))?;
        let listed = tx.anomalies().list(access.project(), only_open).await;
        listed.map_err(db("listing anomalies"))
    }

    /// Says that a backup is as it should be, or was dealt with: its resource's backups expire again,
    /// after the next complete one (extension).
    pub async fn confirm(&self, access: &Access, backup: BackupId) -> Result<Anomaly> {
        let mut tx = self.core.change(access, "confirming an anomaly").await?;
        let confirmed = tx.anomalies().confirm(access.project(), backup).await;
        let confirmed = confirmed.map_err(db("confirming an anomaly"))?;
        let confirmed = confirmed.ok_or(Error::BackupNotFound(backup))?;
        tx.commit(Subject::new(backup, "")).await?;
        Ok(confirmed)
    }
}

/// Looks at a backup that has just become available, in the transaction that makes it so.
pub(crate) async fn look(
    tx: &mut Tx,
    backup: &Backup,
    chain: ChainId,
    figures: Figures,
) -> std::result::Result<(), DbError> {
    if !backup.incremental {
        return Ok(());
    }
    let limit = u32::try_from(EARLIER_MAX).unwrap_or(u32::MAX);
    let earlier = tx.anomalies().figures(chain, limit).await?;
    tx.anomalies().note_figures(chain, backup.id, figures).await?;
    let before: Vec<Figures> = earlier.iter().map(|(_, figures)| *figures).collect();
    let Some(what) = suspicion(&before, figures) else { return Ok(()) };
    tracing::warn!(
        backup.id = %backup.id, resource.id = %backup.resource, what,
        "a backup looks suspicious: nothing of its resource expires until somebody confirms it"
    );
    metrics::counter!("cbr_suspicious_backups_total").increment(1);
    let event = NewEvent {
        project: backup.project,
        kind: EventKind::SuspiciousBackup,
        vault: Some(backup.vault),
        resource: Some(backup.resource.to_string()),
        resource_name: backup.resource_name.clone(),
        detail: what.clone(),
    };
    event.raise(tx).await?;
    let anomaly = Anomaly {
        backup: backup.id,
        project: backup.project,
        vault: backup.vault,
        resource: backup.resource,
        clean: earlier.first().map(|(id, _)| *id),
        what,
        found_at: tx.now(),
        confirmed_at: None,
    };
    tx.anomalies().insert(&anomaly).await
}

/// What a backup changed: of a server the sum of its disks.
pub(crate) fn figures<'a>(versions: impl Iterator<Item = &'a StoredVersion>) -> Figures {
    let add = |to: &mut Bytes, more: Bytes| to.0 = to.0.saturating_add(more.0);
    versions.fold(Figures::default(), |mut sum, version| {
        add(&mut sum.disk, version.disk_bytes);
        add(&mut sum.changed, version.logical_bytes);
        add(&mut sum.added, version.added_bytes);
        sum
    })
}
