//! The sweep that has deleted what is at its end.

use std::sync::Arc;

use cbr_db::{DueResource, RetainedBackup, Tx};
use cbr_model::BackupId;
use cbr_model::audit::Event;
use cbr_model::retention::RemoveReason;
use cbr_model::vault::{Vault, VaultUse};

use super::clock::{ClockWatch, Trust, look, note};
use super::rule::{Rule, candidate};
use super::window::Cleanup;
use crate::audit::Subject;
use crate::backups::begin_delete;
use crate::core::Core;
use crate::error::db;
use crate::rules::retention::plan::{Governing, deletable};
use crate::tasks::order::Origin;
use crate::tasks::{delete_backup, rows};
use crate::{Result, backups, vaults};

/// So many resources are looked at in one query.
const BATCH: u32 = 200;
/// The most backups one round has deleted: the next goes on.
const DELETES_MAX: usize = 500;
/// One whose deletion failed is tried again after this time.
const AGAIN_SECONDS: i64 = 6 * 60 * 60;
/// What a deletion is recorded as.
const EXPIRED: Event = Event::new("expireBackup", "backup");

/// Has deleted what is at its end.
#[derive(Debug)]
pub struct Expiry {
    pub(super) core: Arc<Core>,
    cleanup: Cleanup,
}

impl Expiry {
    pub(crate) const fn new(core: Arc<Core>, cleanup: Cleanup) -> Self {
        Self { core, cleanup }
    }

    /// Has everything deleted that is at its end and whose window is open; says how many backups.
    pub async fn sweep(&self) -> Result<u64> {
        let trust = self.look_at_clock().await?;
        let (mut count, mut after, mut failure) = (0, None, None);
        loop {
            let due = self.due(after.as_ref()).await?;
            for resource in &due {
                match self.expire(resource, trust, DELETES_MAX - count).await {
                    Ok(expired) => count += expired,
                    // One resource that cannot be looked at keeps nobody else's backups.
                    Err(error) => failure = failure.or(Some(error)),
                }
                if count >= DELETES_MAX {
                    break;
                }
            }
            if due.len() < BATCH as usize || count >= DELETES_MAX {
                break;
            }
            after = due.last().copied();
        }
        if count > 0 {
            self.core.wake();
        }
        failure.map_or(Ok(count as u64), Err)
    }

    async fn due(&self, after: Option<&DueResource>) -> Result<Vec<DueResource>> {
        let doing = "looking for expired backups";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let now = tx.now();
        // RET-13, and a little more: the plan decides.
        let failed_before = now.plus_seconds(-28 * 24 * 60 * 60);
        tx.retention().due(now, failed_before, after, BATCH).await.map_err(db(doing))
    }

    /// Notes what the clock shows; says what may be deleted because of it.
    async fn look_at_clock(&self) -> Result<Trust> {
        let doing = "looking at the clock";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let (mut before, mut watch) = look(&mut tx).await.map_err(db(doing))?;
        drop(tx);
        if watch.is_news(before) {
            let mut tx = self.core.db.begin().await.map_err(db(doing))?;
            (before, watch) = look(&mut tx).await.map_err(db(doing))?;
            note(&mut tx, watch).await.map_err(db(doing))?;
            tx.commit().await.map_err(db(doing))?;
        }
        if !watch.is_trusted() && before.is_none_or(ClockWatch::is_trusted) {
            tracing::warn!(
                shows = watch.seen.seconds(),
                trusted_from = watch.trusted_from.seconds(),
                "the clock leapt, or nobody was here for days: nothing expires by it for a day"
            );
        }
        Ok(watch.trust())
    }

    /// Has deleted what is at its end of one resource, at most `limit` backups.
    async fn expire(&self, due: &DueResource, trust: Trust, limit: usize) -> Result<usize> {
        let doing = "expiring backups";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        if self.chosen(&mut tx, due, trust).await?.is_none() {
            return Ok(0);
        }
        drop(tx);
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        let Some((vault, chosen)) = self.chosen(&mut tx, due, trust).await? else {
            return Ok(0);
        };
        let mut count = 0;
        for (backup, rule) in chosen.into_iter().take(limit) {
            count += usize::from(self.delete(&mut tx, &vault, backup, rule).await?);
        }
        tx.commit().await.map_err(db(doing))?;
        Ok(count)
    }

    /// What of a resource may be deleted now; none: nothing.
    async fn chosen(
        &self,
        tx: &mut Tx,
        due: &DueResource,
        trust: Trust,
    ) -> Result<Option<(Vault, Vec<(BackupId, RemoveReason)>)>> {
        let doing = "expiring backups";
        let now = tx.now();
        let vault = vaults::existing(tx, due.project, due.vault).await?;
        if !vault.status.allows(VaultUse::DeleteBackup) {
            return Ok(None);
        }
        let rule = Rule::of(tx, &vault).await.map_err(db(doing))?;
        if !self.cleanup.is_open(rule.zone(), now) {
            return Ok(None);
        }
        let found = tx.retention().of_resource(due.vault, due.resource).await;
        let found = found.map_err(db(doing))?;
        // One that could not be deleted is not tried every minute.
        let is_resting = |one: &RetainedBackup| {
            one.status == "error" && one.updated_at.plus_seconds(AGAIN_SECONDS) > now
        };
        let at_its_end = |time| {
            let candidates: Vec<_> = found.iter().map(|one| candidate(&vault, one, time)).collect();
            deletable(&candidates, rule.governing(), time)
        };
        let mut chosen = at_its_end(now);
        // A rule for certain days keeps until a time: what it lets go, it lets go by the clock.
        let ends_by_clock = matches!(rule.governing(), Governing::Policy(retention)
            if retention.has_rules_for_days());
        let by_clock = |rule| {
            ends_by_clock || matches!(rule, RemoveReason::Expired | RemoveReason::FailedTooOld)
        };
        if trust != Trust::Now {
            chosen.retain(|(_, rule)| !by_clock(*rule));
        }
        if let Trust::Until(proven) = trust {
            chosen.extend(at_its_end(proven).into_iter().filter(|(_, rule)| by_clock(*rule)));
        }
        chosen.retain(|(id, _)| found.iter().any(|one| one.id == *id && !is_resting(one)));
        Ok((!chosen.is_empty()).then_some((vault, chosen)))
    }

    /// Begins the deletion of a backup, unless somebody uses it: then the next round looks again.
    async fn delete(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        id: BackupId,
        rule: RemoveReason,
    ) -> Result<bool> {
        let backup = backups::existing(tx, vault.project, id).await?;
        if rows::is_used(tx, &backup, None).await.map_err(db("listing tasks"))? {
            return Ok(false);
        }
        begin_delete(tx, &backup).await?;
        let origin = Origin::policy(vault.project, None);
        let task = delete_backup::new(&self.core, origin, vault, &backup);
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        let subject = Subject::new(backup.id, &backup.name);
        self.core.record_by_system(tx, vault.project, EXPIRED, subject).await?;
        metrics::counter!("cbr_expired_backups_total", "rule" => rule.as_str()).increment(1);
        tracing::info!(backup.id = %id, rule = rule.as_str(), "a backup is deleted by its policy");
        Ok(true)
    }
}
