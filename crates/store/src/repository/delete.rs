//! Deleting versions.

use std::collections::BTreeSet;

use super::Repository;
use crate::chain::{ChainLog, History};
use crate::delete::Sweep;
use crate::delete::account::freed_bytes;
use crate::delete::shared::{DomainSweep, prediction};
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, Scope};
use crate::format::record::Delete;
use crate::version::{Freed, Prediction};

impl Repository {
    /// The stored bytes that [`Repository::delete`] of these versions would set free.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; a deleted version counts as if it were still there.
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
                let live = seqs.iter().copied().filter(|seq| history.is_live(*seq));
                prediction(log, &packs, &live.collect())
            }
            predicted => predicted,
        }
    }

    fn freed_bytes(&self, log: &ChainLog, history: &History, seqs: &BTreeSet<u64>) -> Result<u64> {
        match log.chain.scope {
            Scope::Volume => freed_bytes(history, seqs),
            Scope::Tenant => Ok(self.prediction(log, history, seqs)?.freed_bytes),
        }
    }

    /// Deletes versions and removes what only they needed. Others are never touched (P7).
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
        history.lineage(history.live_or_pinned())?;
        let before = self.freed_bytes(&log, &history, &seqs)?;
        let new: Vec<u64> = seqs.iter().copied().filter(|seq| history.is_live(*seq)).collect();
        for part in new.chunks(Delete::SEQS_MAX) {
            let delete = Delete { seqs: part.to_vec(), by: String::new() };
            log.put_delete(history.next_delete, &delete)?;
        }
        // Only now is it certain which sessions build on what was deleted.
        let history = log.read_on(history)?.sound()?;
        log.fold(&history);
        let freed_bytes = match self.freed_bytes(&log, &history, &seqs) {
            // Another sweep was faster, and lists are gone that nobody needs any more.
            Err(Error::Missing { .. }) => before,
            freed => freed?,
        };
        let removed_object_bytes = self.sweep(&log)?;
        Ok(Freed { freed_bytes, removed_object_bytes })
    }

    /// Finishes deletions and removes what interrupted sessions left behind. Needs no reason and
    /// may run at any time, also beside a backup of the same chain.
    pub fn reclaim(&self, chain: &ChainRef) -> Result<Freed> {
        self.check_writable()?;
        let Some(log) = self.log(chain)? else { return Ok(Freed::default()) };
        Ok(Freed { freed_bytes: 0, removed_object_bytes: self.sweep(&log)? })
    }

    fn sweep(&self, log: &ChainLog) -> Result<u64> {
        let packs = &self.packs(log);
        let compact_below_percent = self.options.compact_below_percent;
        match log.chain.scope {
            Scope::Volume => Sweep { log, packs, compact_below_percent }.run(),
            Scope::Tenant => DomainSweep { log, packs, compact_below_percent }.run(),
        }
    }

    /// The chain's log, in which every one of `seqs` was committed.
    fn history_with(
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
