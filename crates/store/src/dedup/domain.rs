//! What a process remembers of a domain between sessions: hints, and the retire log as far as read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use super::borrower::Borrower;
use super::budget::Budget;
use super::hint::Hint;
use super::retired::{RetireLog, Retired};
use crate::backend::{BackendExt, Entry, Key};
use crate::error::{Error, Result};
use crate::format::id::{DomainId, PackId, PackKind};
use crate::format::place::{self, Place};
use crate::format::record::{Outcome, Record};
use crate::packs::Packs;

/// How many packs are taken into the hint per session; the others wait for the next one.
const WARM_PACKS_MAX: usize = 1024;

/// The domains in which sessions of this process borrow.
#[derive(Debug)]
pub(crate) struct Domains {
    cap_bytes: u64,
    budget: Arc<Budget>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tick: u64,
    domains: HashMap<DomainId, (u64, Arc<Memory>)>,
}

impl Domains {
    pub(crate) fn new(cap_bytes: u64) -> Self {
        let budget = Arc::new(Budget::new(cap_bytes));
        Self { cap_bytes, budget, known: Mutex::default() }
    }

    /// What session `seq` finds blocks with. Its claim must be durable, and `packs` new since then.
    ///
    /// # Errors
    /// Whatever kept the retire log from being read: then nothing may be borrowed.
    pub(crate) fn borrower(
        &self,
        log: &RetireLog,
        packs: &Arc<Packs>,
        seq: u64,
    ) -> Result<Borrower> {
        let memory = self.memory(&log.domain);
        let retired = memory.refresh(log, packs)?;
        let budget = (Arc::clone(&self.budget), self.cap_bytes);
        Ok(Borrower::new(memory, Arc::clone(packs), retired, budget, seq))
    }

    fn memory(&self, domain: &DomainId) -> Arc<Memory> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        known.tick += 1;
        // Domains that nobody uses make room for this one, the longest unused first.
        while self.budget.used_bytes() > self.cap_bytes / 2 {
            let idle = known
                .domains
                .iter()
                .filter(|(other, (_, memory))| *other != domain && Arc::strong_count(memory) == 1);
            let Some(oldest) = idle.min_by_key(|(_, (tick, _))| *tick).map(|(id, _)| *id) else {
                break;
            };
            known.domains.remove(&oldest);
        }
        let new = || (0, Arc::new(Memory::new(Arc::clone(&self.budget))));
        let (tick, memory) = known.domains.entry(*domain).or_insert_with(new);
        *tick = known.tick;
        Arc::clone(memory)
    }
}

/// What is remembered of one domain.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) hint: RwLock<Hint>,
    budget: Arc<Budget>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Outcomes that were looked at.
    seen: HashSet<(Uuid, u64)>,
    /// Packs of commits that wait to be taken into the hint, the most recent ones last.
    waiting: Vec<PackId>,
    retired: Arc<Retired>,
    taken_bytes: u64,
}

/// About what a remembered outcome and a waiting pack take.
const OUTCOME_BYTES: u64 = 64;
const WAITING_BYTES: u64 = 32;

impl Memory {
    fn new(budget: Arc<Budget>) -> Self {
        let hint = RwLock::new(Hint::new(Arc::clone(&budget)));
        Self { hint, budget, progress: Mutex::default() }
    }

    /// Learns what happened since the last session, and how far the retire log goes.
    fn refresh(&self, log: &RetireLog, packs: &Packs) -> Result<Arc<Retired>> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = &mut *progress;
        let before = progress.retired.bytes();
        log.read_on(Arc::make_mut(&mut progress.retired))?;
        let more = progress.retired.bytes().saturating_sub(before);
        if !self.take(progress, more) {
            progress.retired = Arc::default();
            let what = "the retire log does not fit into the memory for shared blocks".to_owned();
            return Err(Error::Invalid { what });
        }
        self.learn_commits(progress, log)?;
        self.warm(progress, packs)?;
        Ok(Arc::clone(&progress.retired))
    }

    fn take(&self, progress: &mut Progress, bytes: u64) -> bool {
        let is_there = self.budget.take(bytes);
        progress.taken_bytes += if is_there { bytes } else { 0 };
        is_there
    }

    /// Reads the commits that are new, and notes their packs.
    fn learn_commits(&self, progress: &mut Progress, log: &RetireLog) -> Result<()> {
        let listed = log.backend.list_all(&place::chains(&log.domain))?;
        let mut new: Vec<(u64, Uuid, Key)> = Vec::new();
        let outcome = |entry: &Entry| match Place::parse(&entry.key) {
            Some(Place::Outcome(chain, seq)) => Some((seq, chain.chain, entry.key.clone())),
            _ => None,
        };
        new.extend(listed.iter().filter_map(outcome));
        new.retain(|(seq, chain, _)| !progress.seen.contains(&(*chain, *seq)));
        // There is no time in the store: high numbers are the best sign of being recent.
        new.sort_unstable();
        let mut waiting = Vec::new();
        for (seq, chain, key) in new {
            if !self.take(progress, OUTCOME_BYTES) {
                break;
            }
            progress.seen.insert((chain, seq));
            let Some(object) = log.backend.get(&key)? else { continue };
            match Outcome::open(&object, &key, log.keys.as_ref()) {
                Ok(Outcome::Commit(commit)) => waiting.extend(
                    commit
                        .packs
                        .iter()
                        .filter(|pack| pack.kind == PackKind::Data)
                        .map(|pack| pack.id),
                ),
                Ok(Outcome::Abort(_)) => {}
                // A check names it; nothing is borrowed from what it had written.
                Err(error) if error.is_damage() => {
                    tracing::error!(error = &error as &dyn std::error::Error, "unreadable record");
                }
                Err(error) => return Err(error),
            }
        }
        if self.take(progress, waiting.len() as u64 * WAITING_BYTES) {
            progress.waiting.append(&mut waiting);
        }
        Ok(())
    }

    /// Takes waiting packs into the hint, the most recent ones first.
    fn warm(&self, progress: &mut Progress, packs: &Packs) -> Result<()> {
        let mut hint = self.hint.write().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..WARM_PACKS_MAX {
            let Some(pack) = progress.waiting.pop() else { break };
            self.budget.give_back(WAITING_BYTES);
            progress.taken_bytes -= WAITING_BYTES;
            match packs.index(PackKind::Data, pack) {
                Ok(index) => {
                    let ids: Vec<_> =
                        index.slots().iter().flat_map(|slot| index.ids(slot)).copied().collect();
                    if !hint.add(pack, &ids) {
                        break;
                    }
                }
                // Nothing is borrowed from what cannot be read (P5), or was removed since.
                Err(error) if error.is_damage() || matches!(error, Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.budget.give_back(progress.taken_bytes);
    }
}
