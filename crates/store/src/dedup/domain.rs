//! What a process remembers of a domain between sessions: hints, and the retire log as far as read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use super::borrower::Borrower;
use super::budget::Budget;
use super::hint::Hint;
use super::retired::Retired;
use crate::backend::{BackendExt, Entry, Key};
use crate::chain::history::Session;
use crate::chain::{ChainLog, History, Verdict};
use crate::delete::shared::Books;
use crate::error::{Error, Result};
use crate::format::id::{DomainId, PackId, PackKind};
use crate::format::place::{self, Place};
use crate::format::record::{Commit, Outcome, Record};
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
        log: &ChainLog,
        packs: &Arc<Packs>,
        seq: u64,
    ) -> Result<Borrower> {
        let memory = self.memory(&log.chain.domain());
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

/// A session that is over, and the packs of blocks that it committed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Decided {
    seq: u64,
    chain: Uuid,
    packs: Vec<PackId>,
}

/// All of them by the logs of a domain's chains; `None` if any of these has something unreadable.
fn decided(log: &ChainLog) -> Result<Option<Vec<Decided>>> {
    let books = match Books::read(log, ChainLog::read) {
        Ok(books) => books,
        Err(error @ Error::Backend(_)) if error.is_transient() => return Err(error),
        Err(_) => return Ok(None),
    };
    let of_chain = |history: &History| {
        let chain = history.chain.chain;
        let decided = |(seq, session): (&u64, &Session)| {
            let packs = match &session.verdict {
                Verdict::Open => return None,
                Verdict::Aborted => Vec::new(),
                Verdict::Committed(committed) => data_packs(&committed.commit).collect(),
            };
            Some(Decided { seq: *seq, chain, packs })
        };
        history.sessions.iter().filter_map(decided).collect::<Vec<_>>()
    };
    Ok(Some(books.histories.iter().flat_map(of_chain).collect()))
}

fn data_packs(commit: &Commit) -> impl Iterator<Item = PackId> {
    let data = commit.packs.iter().filter(|pack| pack.kind == PackKind::Data);
    data.map(|pack| pack.id)
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
    fn refresh(&self, log: &ChainLog, packs: &Packs) -> Result<Arc<Retired>> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = &mut *progress;
        let before = progress.retired.bytes();
        let retire_log = log.retire_log();
        if progress.retired.head == 0 {
            progress.retired = Arc::new(retire_log.read()?);
        } else {
            retire_log.read_on(Arc::make_mut(&mut progress.retired))?;
        }
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

    /// Notes the packs of commits that are new. The first time they come from the logs, which are
    /// folded; later only outcomes that were not seen are read.
    fn learn_commits(&self, progress: &mut Progress, log: &ChainLog) -> Result<()> {
        if self.budget.cap_bytes() == 0 {
            return Ok(());
        }
        let by_logs = if progress.seen.is_empty() { decided(log)? } else { None };
        let mut new = match by_logs {
            Some(all) => all,
            None => self.read_new(progress, log)?,
        };
        // There is no time in the store: high numbers are the best sign of being recent.
        new.sort_unstable();
        let mut waiting = Vec::new();
        for Decided { seq, chain, packs } in new {
            if !self.take(progress, OUTCOME_BYTES) {
                break;
            }
            progress.seen.insert((chain, seq));
            waiting.extend(packs);
        }
        if self.take(progress, waiting.len() as u64 * WAITING_BYTES) {
            progress.waiting.append(&mut waiting);
        }
        Ok(())
    }

    /// Reads the outcomes that are new.
    fn read_new(&self, progress: &Progress, log: &ChainLog) -> Result<Vec<Decided>> {
        let listed = log.backend.list_all(&place::chains(&log.chain.domain()))?;
        let outcome = |entry: &Entry| match Place::parse(&entry.key) {
            Some(Place::Outcome(chain, seq)) => Some((seq, chain.chain, entry.key.clone())),
            _ => None,
        };
        let mut new: Vec<(u64, Uuid, Key)> = listed.iter().filter_map(outcome).collect();
        new.retain(|(seq, chain, _)| !progress.seen.contains(&(*chain, *seq)));
        new.sort_unstable();
        let room = (self.budget.cap_bytes() / OUTCOME_BYTES).try_into().unwrap_or(usize::MAX);
        let mut decided = Vec::new();
        for (seq, chain, key) in new.into_iter().take(room) {
            let Some(object) = log.backend.get(&key)? else { continue };
            let packs = match Outcome::open(&object, &key, log.keys.as_ref()) {
                Ok(Outcome::Commit(commit)) => data_packs(&commit).collect(),
                Ok(Outcome::Abort(_)) => Vec::new(),
                // A check names it; nothing is borrowed from what it had written.
                Err(error) if error.is_damage() => {
                    tracing::error!(error = &error as &dyn std::error::Error, "unreadable record");
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            decided.push(Decided { seq, chain, packs });
        }
        Ok(decided)
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
