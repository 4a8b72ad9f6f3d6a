//! What a chain's log says, as a value. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::deletions::Deletions;
use super::fold::Folds;
use super::lifetime::{Account, Lineage};
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::format::record::{Claim, Commit};
use crate::planted::{self, Bug};
use crate::version::{VersionInfo, VersionRef};

/// The log of one chain as it was read.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) chain: ChainRef,
    pub(crate) sessions: BTreeMap<u64, Session>,
    /// The last number that was ever claimed.
    pub(crate) last_seq: u64,
    /// What the delete records say.
    pub(crate) deletions: Deletions,
    /// The number of the next delete record.
    pub(crate) next_delete: u64,
    /// Records that are there and cannot be read.
    pub(crate) unreadable: Vec<Error>,
    /// The folds it was read with.
    pub(crate) folds: Folds,
}

/// A claim and what became of it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) claim: Claim,
    pub(crate) verdict: Verdict,
}

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nobody has decided yet: the session may be running.
    Open,
    /// The version is there.
    Committed(Box<Committed>),
    /// The session is over, and what it wrote is garbage.
    Aborted,
}

/// A commit as it is stored.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) commit: Commit,
    /// The BLAKE3 of the outcome object.
    pub(crate) hash: [u8; 32],
    /// Whether the commit has its card; else the card is only in the outcome object.
    pub(crate) card_is_here: bool,
}

impl History {
    /// A log without records.
    pub(crate) fn empty(chain: ChainRef) -> Self {
        Self {
            chain,
            sessions: BTreeMap::new(),
            last_seq: 0,
            deletions: Deletions::default(),
            next_delete: 1,
            unreadable: Vec::new(),
            folds: Folds::default(),
        }
    }

    /// Fails if any record could not be read: what follows from the log is then not known.
    pub(crate) fn sound(mut self) -> Result<Self> {
        if self.unreadable.is_empty() { Ok(self) } else { Err(self.unreadable.swap_remove(0)) }
    }

    pub(crate) fn committed(&self, seq: u64) -> Option<&Committed> {
        match &self.sessions.get(&seq)?.verdict {
            Verdict::Committed(committed) => Some(committed),
            Verdict::Open | Verdict::Aborted => None,
        }
    }

    pub(crate) fn all_committed(&self) -> impl Iterator<Item = &Committed> {
        self.sessions.keys().filter_map(|seq| self.committed(*seq))
    }

    pub(crate) fn is_live(&self, seq: u64) -> bool {
        self.is_kept(seq) && !self.deletions.is_trashed(seq)
    }

    pub(crate) fn is_trashed(&self, seq: u64) -> bool {
        self.is_kept(seq) && self.deletions.is_trashed(seq)
    }

    /// Whether it exists and is not gone for good.
    pub(crate) fn is_kept(&self, seq: u64) -> bool {
        self.committed(seq).is_some() && !self.deletions.is_gone(seq)
    }

    /// The versions that can be restored.
    pub(crate) fn live(&self) -> BTreeSet<u64> {
        self.sessions.keys().copied().filter(|seq| self.is_live(*seq)).collect()
    }

    /// The versions that are deleted and can come back.
    pub(crate) fn trashed(&self) -> BTreeSet<u64> {
        self.sessions.keys().copied().filter(|seq| self.is_trashed(*seq)).collect()
    }

    /// The versions that are not gone for good: the live ones and those in the trash.
    pub(crate) fn kept(&self) -> BTreeSet<u64> {
        self.sessions.keys().copied().filter(|seq| self.is_kept(*seq)).collect()
    }

    /// The versions of which everything must stay: the live ones, those in the trash, and those on
    /// which an open session builds.
    pub(crate) fn needed(&self) -> BTreeSet<u64> {
        let mut needed = if planted::has(Bug::TrashIsGarbage) { self.live() } else { self.kept() };
        if !planted::has(Bug::PinsIgnored) {
            needed.extend(self.open().filter_map(|(_, claim)| claim.parent));
        }
        needed.retain(|seq| self.committed(*seq).is_some());
        needed
    }

    /// Whether every version from `birth` to before `death` is gone for good by delete records.
    pub(crate) fn explains(&self, birth: u64, death: u64) -> bool {
        let mut between = self.sessions.range(birth..death);
        between.all(|(seq, _)| self.committed(*seq).is_none() || self.deletions.is_gone(*seq))
    }

    /// The sessions nobody has decided about.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u64, &Claim)> {
        self.sessions
            .iter()
            .filter(|(_, session)| matches!(session.verdict, Verdict::Open))
            .map(|(seq, session)| (*seq, &session.claim))
    }

    /// The version a new session builds on. One in the trash as well: if it came back, it would have
    /// to lie on the lineage of all others.
    pub(crate) fn head(&self) -> Option<u64> {
        self.kept().last().copied()
    }

    /// The number of a new session: above all that were ever seen.
    pub(crate) fn next_seq(&self) -> u64 {
        self.last_seq.max(self.deletions.last_named()).saturating_add(1)
    }

    /// The lineage if exactly `live` were live.
    pub(crate) fn lineage(&self, live: BTreeSet<u64>) -> Result<Lineage> {
        let committed = self.sessions.iter().filter_map(|(seq, session)| {
            self.committed(*seq).map(|_| (*seq, session.claim.parent))
        });
        Lineage::of(&committed.collect(), live).map_err(|seq| Error::Implausible {
            what: format!("version {seq} of chain {} does not fit the others", self.chain),
        })
    }

    /// What each committed version did to the stored bytes.
    pub(crate) fn accounts(&self) -> BTreeMap<u64, Account> {
        let account = |commit: &Commit| {
            let list_bytes = commit.lists().map(|list| u64::from(list.stored_bytes)).sum::<u64>();
            let born_bytes = commit.added_bytes.saturating_sub(list_bytes);
            let list_bytes = if planted::has(Bug::FreedBytesWrong) { 0 } else { list_bytes };
            Account {
                born_bytes,
                list_bytes,
                died_bytes: commit.death_totals.iter().copied().collect(),
            }
        };
        self.sessions
            .keys()
            .filter_map(|seq| Some((*seq, account(&self.committed(*seq)?.commit))))
            .collect()
    }
}

/// What a caller learns about a committed version.
pub(crate) fn info(chain: ChainRef, seq: u64, claim: &Claim, commit: &Commit) -> VersionInfo {
    VersionInfo {
        version: VersionRef { chain, seq },
        parent: claim.parent,
        owner: claim.owner.clone(),
        disk_bytes: commit.disk_bytes,
        logical_bytes: commit.logical_bytes,
        used_bytes: commit.used_bytes,
        added_bytes: commit.added_bytes,
        card: commit.card.clone(),
    }
}
