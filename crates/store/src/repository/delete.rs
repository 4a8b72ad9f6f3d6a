//! Deleting versions.

use std::collections::BTreeSet;

use super::Repository;
use crate::chain::{ChainLog, History};
use crate::delete::Sweep;
use crate::delete::account::freed_bytes;
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, Scope};
use crate::format::record::Delete;
use crate::version::Freed;

impl Repository {
    /// The stored bytes that [`Repository::delete`] of these versions would set free.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; a deleted version counts as if it were still there.
    pub fn preview_delete(&self, chain: &ChainRef, seqs: &[u64]) -> Result<u64> {
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        let Some((_, history)) = self.history_with(chain, &seqs, ChainLog::read)? else {
            return Ok(0);
        };
        freed_bytes(&history, &seqs)
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
        let new: Vec<u64> = seqs.iter().copied().filter(|seq| history.is_live(*seq)).collect();
        for part in new.chunks(Delete::SEQS_MAX) {
            let delete = Delete { seqs: part.to_vec(), by: String::new() };
            log.put_delete(history.next_delete, &delete)?;
        }
        // Only now is it certain which sessions build on what was deleted.
        let history = log.read_on(history)?.sound()?;
        log.fold(&history);
        let freed_bytes = freed_bytes(&history, &seqs)?;
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
        // What other chains of the domain need is not known from this chain's log.
        if log.chain.scope == Scope::Tenant {
            return Ok(0);
        }
        let packs = self.packs(log);
        let compact_below_percent = self.options.compact_below_percent;
        Sweep { log, packs: &packs, compact_below_percent }.run()
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
