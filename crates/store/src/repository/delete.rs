//! Deleting versions.

use std::collections::BTreeSet;

use super::Repository;
use crate::chain::{ChainLog, History};
use crate::delete::account::freed_bytes;
use crate::delete::shared::{DomainSweep, prediction};
use crate::delete::{ChainReclaim, ReclaimPlan, Sweep};
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, Scope};
use crate::format::record::{Deed, Delete};
use crate::job::{Job, Meter};
use crate::version::{Freed, Prediction};

impl Repository {
    /// The stored bytes that [`Repository::delete`] of these versions would set free.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; a deleted version counts as if it were still there, and one in the
    /// trash is there: this is what [`Repository::purge`] would set free.
    pub fn preview_delete(&self, chain: &ChainRef, seqs: &[u64]) -> Result<u64> {
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        let Some((log, history)) = self.history_with(chain, &seqs, ChainLog::read)? else {
            return Ok(0);
        };
        self.freed_bytes(&log, &history, &seqs)
    }

    /// As [`Repository::preview_delete`], and what stays because other disks need it as well.
    pub fn predict_delete(&self, chain: &ChainRef, seqs: &[u64]) -> Result<Prediction> {
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        match self.history_with(chain, &seqs, ChainLog::read)? {
            None => Ok(Prediction::default()),
            Some((log, history)) if chain.scope == Scope::Tenant => {
                self.prediction(&log, &history, &seqs)
            }
            Some((_, history)) => Ok(Prediction {
                freed_bytes: freed_bytes(&history, &seqs)?,
                ..Prediction::default()
            }),
        }
    }

    /// Where blocks are shared. Of versions that were deleted and swept before, the lists may be
    /// gone that said what they had freed; then they free nothing any more.
    fn prediction(
        &self,
        log: &ChainLog,
        history: &History,
        seqs: &BTreeSet<u64>,
    ) -> Result<Prediction> {
        let packs = self.packs(log);
        match prediction(log, &packs, seqs) {
            Err(Error::Missing { .. }) => {
                let live = seqs.iter().copied().filter(|seq| history.is_kept(*seq));
                prediction(log, &packs, &live.collect())
            }
            predicted => predicted,
        }
    }

    pub(super) fn freed_bytes(
        &self,
        log: &ChainLog,
        history: &History,
        seqs: &BTreeSet<u64>,
    ) -> Result<u64> {
        match log.chain.scope {
            Scope::Volume => freed_bytes(history, seqs),
            Scope::Tenant => Ok(self.prediction(log, history, seqs)?.freed_bytes),
        }
    }

    /// Deletes versions for good and removes what only they needed, also of those in the trash.
    /// Others are never touched (P7). [`Repository::trash`] is the way that can be taken back.
    ///
    /// May be repeated after a crash: what is deleted stays deleted, and the rest is done.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if one of them never existed; then none is deleted.
    /// [`Error::Implausible`] if the log and the packs contradict each other.
    pub fn delete(&self, chain: &ChainRef, seqs: &[u64]) -> Result<Freed> {
        self.check_writable()?;
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        let read = ChainLog::read_all_names;
        let Some((log, history)) = self.history_with(chain, &seqs, read)? else {
            return Ok(Freed::default());
        };
        // Refuse to go on from a log that contradicts itself.
        history.lineage(history.needed())?;
        let before = self.freed_bytes(&log, &history, &seqs)?;
        // Only when the records are durable is it certain which sessions build on what is gone.
        let history = log.put_deletes(history, |history| {
            let left = seqs.iter().copied().filter(|seq| history.is_kept(*seq));
            record(Deed::Delete, left, "")
        })?;
        self.swept(&log, &history, &seqs, before)
    }

    /// Removes what only `gone` needed, which they do not any more; `before` is what was foreseen.
    pub(super) fn swept(
        &self,
        log: &ChainLog,
        history: &History,
        gone: &BTreeSet<u64>,
        before: u64,
    ) -> Result<Freed> {
        log.fold(history);
        let freed_bytes = match self.freed_bytes(log, history, gone) {
            // Another sweep was faster, and lists are gone that nobody needs any more.
            Err(Error::Missing { .. }) => before,
            freed => freed?,
        };
        let swept = self.sweep(log)?;
        Ok(Freed { freed_bytes, ..swept })
    }

    /// Finishes deletions and removes what interrupted sessions left behind. Needs no reason and
    /// may run at any time, also beside a backup of the same chain.
    pub fn reclaim(&self, chain: &ChainRef) -> Result<Freed> {
        self.check_writable()?;
        let Some(log) = self.log(chain)? else { return Ok(Freed::default()) };
        self.sweep(&log)
    }

    /// What [`Repository::reclaim`] would do now to `chain`, or to all chains. Changes nothing.
    ///
    /// # Errors
    /// Only if the backend does not answer; a chain that contradicts itself is on the plan's list.
    pub fn plan_reclaim(&self, chain: Option<&ChainRef>) -> Result<ReclaimPlan> {
        let chains = chain.map_or_else(|| self.chains(), |chain| Ok(vec![*chain]))?;
        let mut plan = ReclaimPlan::default();
        let mut domains = BTreeSet::new();
        for chain in chains {
            if chain.scope == Scope::Tenant {
                plan.shared.extend(domains.insert(chain.domain()).then_some(chain));
                continue;
            }
            let planned = self
                .log(&chain)
                .and_then(|log| log.map(|log| self.with_sweep(&log, plan_one)).transpose());
            match planned {
                Ok(Some(one)) if one.steps.is_empty() && one.rescued.is_empty() => {}
                Ok(one) => plan.chains.extend(one),
                Err(error) if error.is_no_verdict() => return Err(error),
                Err(error) => plan.blocked.push((chain, error)),
            }
        }
        Ok(plan)
    }

    /// Does what `plan` says, as far as it is still right: everything is looked at again, and only
    /// what was planned and would be planned now is done.
    ///
    /// # Errors
    /// [`Error::AboveCeiling`] unless `above_ceiling`; [`Error::Cancelled`]. What was done stays.
    pub fn execute(&self, plan: &ReclaimPlan, above_ceiling: bool, job: &Job) -> Result<Freed> {
        self.check_writable()?;
        let meter = Meter::new(job, plan.freed_bytes());
        let mut freed = Freed::default();
        for earlier in &plan.chains {
            let Some(log) = self.log(&earlier.chain)? else { continue };
            let done = self.with_sweep(&log, |sweep| {
                let now = sweep.plan()?.limited_to(earlier);
                carry_out(sweep, &now, above_ceiling, &meter)
            })?;
            freed.removed_object_bytes += done.removed_object_bytes;
            freed.rescued_packs += done.rescued_packs;
        }
        for chain in &plan.shared {
            meter.check_cancelled()?;
            freed.removed_object_bytes += self.reclaim(chain)?.removed_object_bytes;
        }
        Ok(freed)
    }

    fn sweep(&self, log: &ChainLog) -> Result<Freed> {
        if log.chain.scope == Scope::Tenant {
            let packs = &self.packs(log);
            let compact_below_percent = self.options.compact_below_percent;
            let known = &self.known;
            let removed_object_bytes =
                DomainSweep { log, packs, compact_below_percent, known }.run()?;
            return Ok(Freed { removed_object_bytes, ..Freed::default() });
        }
        let job = Job::quiet();
        self.with_sweep(log, |sweep| {
            let plan = sweep.plan()?;
            carry_out(sweep, &plan, false, &Meter::new(&job, 0))
        })
    }

    /// Of a chain that shares blocks with no other.
    pub(super) fn with_sweep<T>(
        &self,
        log: &ChainLog,
        work: impl FnOnce(&Sweep<'_>) -> Result<T>,
    ) -> Result<T> {
        let packs = self.packs(log);
        let compact_below_percent = self.options.compact_below_percent;
        work(&Sweep { log, packs: &packs, compact_below_percent, known: &self.known })
    }

    /// The chain's log, in which every one of `seqs` was committed.
    pub(super) fn history_with(
        &self,
        chain: &ChainRef,
        seqs: &BTreeSet<u64>,
        read: fn(&ChainLog) -> Result<History>,
    ) -> Result<Option<(ChainLog, History)>> {
        let missing = |seq: u64| Error::NoSuchVersion { chain: chain.to_string(), seq };
        let Some(log) = self.log(chain)? else {
            return seqs.first().map_or(Ok(None), |seq| Err(missing(*seq)));
        };
        let history = read(&log)?.sound()?;
        match seqs.iter().find(|seq| history.committed(**seq).is_none()) {
            Some(seq) => Err(missing(*seq)),
            None => Ok(Some((log, history))),
        }
    }
}

/// The record that does `deed` to the first of `seqs`; none if there are none.
pub(super) fn record(deed: Deed, seqs: impl Iterator<Item = u64>, by: &str) -> Option<Delete> {
    let seqs: Vec<u64> = seqs.take(Delete::SEQS_MAX).collect();
    (!seqs.is_empty()).then(|| Delete { seqs, by: by.to_owned(), deed })
}

fn plan_one(sweep: &Sweep<'_>) -> Result<ChainReclaim> {
    sweep.plan()
}

fn carry_out(
    sweep: &Sweep<'_>,
    plan: &ChainReclaim,
    above_ceiling: bool,
    meter: &Meter<'_>,
) -> Result<Freed> {
    if !above_ceiling {
        plan.check_ceiling()?;
    }
    let removed_object_bytes = sweep.carry_out(plan, meter)?;
    let rescued_packs = plan.rescued.len() as u64;
    Ok(Freed { freed_bytes: 0, removed_object_bytes, rescued_packs })
}
