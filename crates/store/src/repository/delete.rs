//! Deleting versions.

use std::collections::{BTreeMap, BTreeSet};

use super::Repository;
use crate::chain::{ChainLog, History};
use crate::delete::account::{Chosen, Foresight};
use crate::delete::shared::Books;
use crate::delete::{ChainReclaim, ReclaimPlan, Sweep};
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, DomainId};
use crate::format::record::{Deed, Delete};
use crate::job::{Job, Meter};
use crate::version::{Freed, Prediction};

/// How often a prediction reads on where others removed, since it read the logs, lists that it asks.
const LOOKS_MAX: usize = 8;

impl Repository {
    /// The stored bytes that [`Repository::delete`] of these versions would set free.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; a deleted version counts as if it were still there, and one in the
    /// trash is there: this is what [`Repository::purge`] would set free.
    pub fn preview_delete(&self, chain: &ChainRef, seqs: &[u64]) -> Result<u64> {
        Ok(self.predict_delete(chain, seqs)?.freed_bytes)
    }

    /// As [`Repository::preview_delete`], and what stays because other disks need it as well.
    pub fn predict_delete(&self, chain: &ChainRef, seqs: &[u64]) -> Result<Prediction> {
        let chosen = BTreeMap::from([(*chain, seqs.iter().copied().collect())]);
        self.predict_deletions(&chosen)
    }

    /// What deleting all these versions together sets free. What chains share and all of them let go
    /// of counts as well.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]
    pub fn predict_deletions(&self, chosen: &Chosen) -> Result<Prediction> {
        let mut domains: BTreeMap<DomainId, Chosen> = BTreeMap::new();
        for (chain, seqs) in chosen {
            let domain = domains.entry(chain.domain()).or_default();
            domain.insert(*chain, seqs.clone());
        }
        let mut all = Prediction::default();
        for chosen in domains.values() {
            let Some((log, books)) = self.books_with(chosen, ChainLog::read)? else { continue };
            let (one, _) = self.prediction_now(&log, books, |_| chosen.clone())?;
            all.freed_bytes += one.freed_bytes;
            all.kept_bytes += one.kept_bytes;
            all.kept_by += one.kept_by;
        }
        Ok(all)
    }

    /// What `chosen` sets free, and the books by which that is so: the given ones, or newer ones if others
    /// deleted and swept meanwhile.
    pub(super) fn prediction_now(
        &self,
        log: &ChainLog,
        mut books: Books,
        chosen: impl Fn(&Books) -> Chosen,
    ) -> Result<(Prediction, Books)> {
        for _ in 1..LOOKS_MAX {
            match self.prediction(log, &books, &chosen(&books)) {
                Err(Error::Missing { .. }) => books = books.read_on(log)?,
                predicted => return Ok((predicted?, books)),
            }
        }
        Ok((self.prediction(log, &books, &chosen(&books))?, books))
    }

    /// Of versions that were deleted and swept before, the lists may be gone that said what they had
    /// freed; then they free nothing any more.
    fn prediction(&self, log: &ChainLog, books: &Books, chosen: &Chosen) -> Result<Prediction> {
        let packs = self.packs_for_books(log);
        let predict = |chosen: &Chosen| Foresight::of(books, &packs, chosen)?.prediction(chosen);
        match predict(chosen) {
            Err(Error::Missing { .. }) => {
                let kept = |(chain, seqs): (&ChainRef, &BTreeSet<u64>)| {
                    let history = books.histories.get(books.position(chain)?)?;
                    let kept = seqs.iter().copied().filter(|seq| history.is_kept(*seq));
                    Some((*chain, kept.collect()))
                };
                predict(&chosen.iter().filter_map(kept).collect())
            }
            predicted => predicted,
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
        let all = |_: &History| seqs.clone();
        self.erase(chain, &seqs, all, |log, history| {
            log.put_deletes(history, |history| {
                let left = seqs.iter().copied().filter(|seq| history.is_kept(*seq));
                record(Deed::Delete, left, "")
            })
        })
    }

    /// Puts what `put` puts, and removes what only the versions needed that are gone by it: those that
    /// `gone` names, before and after.
    pub(super) fn erase(
        &self,
        chain: &ChainRef,
        seqs: &BTreeSet<u64>,
        gone: impl Fn(&History) -> BTreeSet<u64>,
        put: impl FnOnce(&ChainLog, History) -> Result<History>,
    ) -> Result<Freed> {
        let chosen = Chosen::from([(*chain, seqs.clone())]);
        let Some((log, books)) = self.books_with(&chosen, ChainLog::read_all_names)? else {
            return Ok(Freed::default());
        };
        let log = ChainLog { chain: *chain, ..log };
        let gone = |books: &Books| {
            let own = books.position(chain).map(|own| gone(&books.histories[own]));
            Chosen::from([(*chain, own.unwrap_or_default())])
        };
        // Refuses to go on from a log that contradicts itself.
        let (before, books) = self.prediction_now(&log, books, gone)?;
        let books = books.change(chain, |history| put(&log, history))?;
        // Only now is it certain which sessions build on what is gone.
        let books = books.read_on(&log)?;
        if let Some(own) = books.position(chain) {
            log.fold(&books.histories[own]);
        }
        let freed_bytes = match self.prediction(&log, &books, &gone(&books)) {
            // Another sweep was faster, and lists are gone that nobody needs any more.
            Err(Error::Missing { .. }) => before.freed_bytes,
            freed => freed?.freed_bytes,
        };
        let job = Job::quiet();
        let how = (false, &Meter::new(&job, 0));
        let swept = self.with_sweep(&log, |sweep| sweep.run(Some(books), None, how))?;
        Ok(Freed { freed_bytes, ..swept })
    }

    /// Finishes deletions and removes what interrupted sessions left behind. Needs no reason and
    /// may run at any time, also beside a backup of the same chain. Chains that share blocks are
    /// swept together.
    pub fn reclaim(&self, chain: &ChainRef) -> Result<Freed> {
        self.check_writable()?;
        let Some(log) = self.log(chain)? else { return Ok(Freed::default()) };
        let job = Job::quiet();
        self.with_sweep(&log, |sweep| sweep.run(None, None, (false, &Meter::new(&job, 0))))
    }

    /// What [`Repository::reclaim`] would do now to `chain`, or to all chains. Changes nothing.
    ///
    /// # Errors
    /// Only if the backend does not answer; a chain that contradicts itself is on the plan's list.
    pub fn plan_reclaim(&self, chain: Option<&ChainRef>) -> Result<ReclaimPlan> {
        let chains = chain.map_or_else(|| self.chains(), |chain| Ok(vec![*chain]))?;
        let mut plan = ReclaimPlan::default();
        let mut domains = BTreeSet::new();
        for chain in chains.into_iter().filter(|chain| domains.insert(chain.domain())) {
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
            let how = (above_ceiling, &meter);
            let done = self.with_sweep(&log, |sweep| sweep.run(None, Some(earlier), how))?;
            freed.removed_object_bytes += done.removed_object_bytes;
            freed.rescued_packs += done.rescued_packs;
        }
        Ok(freed)
    }

    /// Of how many map nodes of the chain's domain the cache says what they say, and of how many something else,
    /// which must be none: for simulations.
    ///
    /// # Errors
    /// If the backend does not answer.
    #[doc(hidden)]
    pub fn compare_kept_maps(&self, chain: &ChainRef) -> Result<(u64, u64)> {
        let Some(kept) = &self.kept else { return Ok((0, 0)) };
        let log = self.log(chain)?;
        log.map_or(Ok((0, 0)), |log| kept.compare(&self.packs(&log), &log.keys))
    }

    pub(super) fn with_sweep<T>(
        &self,
        log: &ChainLog,
        work: impl FnOnce(&Sweep<'_>) -> Result<T>,
    ) -> Result<T> {
        let packs = self.packs_for_books(log);
        let compact_below_percent = self.options.compact_below_percent;
        let (known, kept) = (&self.known, self.kept.as_ref());
        work(&Sweep { log, packs: &packs, compact_below_percent, known, kept })
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

    /// The books of a domain in which every chosen version was committed, and the log of one of the
    /// chosen chains; none if there is nothing.
    fn books_with(
        &self,
        chosen: &Chosen,
        read: fn(&ChainLog) -> Result<History>,
    ) -> Result<Option<(ChainLog, Books)>> {
        let Some(chain) = chosen.keys().next() else { return Ok(None) };
        let log = self.log(chain)?;
        let books = log.as_ref().map(|log| Books::read(log, read)).transpose()?;
        for (chain, seqs) in chosen {
            let own = books.as_ref().and_then(|books| Some((books.position(chain)?, books)));
            let is_known = |seq: u64| own.is_some_and(|own| own.1.commit((own.0, seq)).is_some());
            if let Some(seq) = seqs.iter().copied().find(|seq| !is_known(*seq)) {
                return Err(Error::NoSuchVersion { chain: chain.to_string(), seq });
            }
        }
        Ok(log.zip(books))
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
