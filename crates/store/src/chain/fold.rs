//! From a chain's log to its fold and back. Pure.
//!
//! A fold repeats the beginning of a log so that it is read in one piece. What is made of it is the
//! same [`History`] that the records themselves give, but for the cards, which stay where they are.

use std::collections::BTreeMap;

use super::deletions::Deletions;
use super::history::{Committed, History, Session, Verdict};
use crate::format::codec::{Decoded, Malformed};
use crate::format::id::ChainRef;
use crate::format::record::{Abort, Fold, FoldedSession, Outcome};
use crate::planted::{self, Bug};

/// How much a fold repeats: the sessions and the delete records up to these numbers.
pub(crate) type Ends = (u64, u64);

/// The folds that a reading of a log has seen.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Folds {
    /// The one that was used.
    pub(crate) used: Option<Ends>,
    /// Those before it.
    pub(crate) older: Vec<Ends>,
}

impl Session {
    /// What a fold says about it; nothing as long as it is open.
    fn folded(&self) -> Option<FoldedSession> {
        let (outcome, hash) = match &self.verdict {
            Verdict::Open => return None,
            Verdict::Aborted => {
                let (nonce, by, reason) = (self.claim.nonce, String::new(), String::new());
                (Outcome::Abort(Abort { nonce, by, reason }), None)
            }
            Verdict::Committed(committed) => {
                let outcome = Outcome::Commit(Box::new(committed.commit.clone()));
                (FoldedSession::shorten(&outcome), Some(committed.hash))
            }
        };
        Some(FoldedSession { claim: self.claim.clone(), outcome, hash })
    }
}

impl History {
    /// The fold that is to be written now: if at least `records_min` claims, outcomes and delete
    /// records lie outside of the one that was used.
    ///
    /// None is made of a log that does not hold together: a fold must not hide what is wrong.
    pub(crate) fn next_fold(&self, records_min: u64) -> Option<(Ends, Fold)> {
        let ends = (self.decided(), self.next_delete - 1);
        let (seq, n) = self.folds.used.unwrap_or_default();
        let new_records = 2 * ends.0.saturating_sub(seq) + ends.1.saturating_sub(n);
        if new_records < records_min || !self.unreadable.is_empty() || !self.links_hold() {
            return None;
        }
        Some((ends, self.fold()))
    }

    /// The fold of all decided sessions and all delete records.
    pub(crate) fn fold(&self) -> Fold {
        let decided = self.sessions.range(..=self.decided());
        let sessions = decided.filter_map(|(_, session)| session.folded());
        let mut deleted: Vec<u64> = self.deletions.gone.iter().copied().collect();
        if planted::has(Bug::FoldHidesDeletion) {
            deleted.pop();
        }
        Fold {
            sessions: sessions.collect(),
            deletes: self.next_delete - 1,
            deleted,
            moved: self.deletions.folded_moves(),
        }
    }

    /// The last number up to which every session has its verdict.
    pub(crate) fn decided(&self) -> u64 {
        let is_open = |session: &Session| matches!(session.verdict, Verdict::Open);
        let numbered = (1..).zip(&self.sessions);
        let decided = numbered.take_while(|(n, (seq, session))| n == *seq && !is_open(session));
        decided.last().map_or(0, |(n, _)| n)
    }

    /// Whether every commit names the parent its claim names, and the hash of that version's outcome.
    pub(crate) fn links_hold(&self) -> bool {
        self.sessions.iter().all(|(seq, session)| {
            let Some(committed) = self.committed(*seq) else { return true };
            let link = committed.commit.parent;
            link.map(|(parent, _)| parent) == session.claim.parent
                && link.is_none_or(|(parent, hash)| {
                    parent < *seq && self.committed(parent).is_some_and(|found| found.hash == hash)
                })
        })
    }

    /// Whether the sessions of `fold` are those of this log, which was read record by record.
    pub(crate) fn has_sessions_of(&self, fold: &Fold) -> bool {
        (1..).zip(&fold.sessions).all(|(seq, folded)| match self.sessions.get(&seq) {
            // One in the middle that cannot be read is on the list of complaints.
            None => seq <= self.last_seq && !self.unreadable.is_empty(),
            Some(session) => match session.folded() {
                None => !self.unreadable.is_empty(),
                Some(found) => found == *folded,
            },
        })
    }

    /// What a fold found under `ends` says.
    pub(crate) fn unfolded(chain: ChainRef, ends: Ends, fold: Fold) -> Decoded<Self> {
        if (fold.sessions.len() as u64, fold.deletes) != ends {
            return Err(Malformed("it folds more or less than its name says"));
        }
        let mut sessions = BTreeMap::new();
        for (seq, folded) in (1..).zip(fold.sessions) {
            let verdict = match (folded.outcome, folded.hash) {
                (Outcome::Commit(commit), Some(hash)) => {
                    let card_is_here = false;
                    Verdict::Committed(Box::new(Committed { commit: *commit, hash, card_is_here }))
                }
                _ => Verdict::Aborted,
            };
            sessions.insert(seq, Session { claim: folded.claim, verdict });
        }
        let history = Self {
            chain,
            sessions,
            last_seq: ends.0,
            deletions: Deletions::unfolded(fold.deleted, &fold.moved),
            next_delete: ends.1.saturating_add(1),
            unreadable: Vec::new(),
            folds: Folds { used: Some(ends), older: Vec::new() },
        };
        if !history.links_hold() {
            return Err(Malformed("its versions do not follow from each other"));
        }
        Ok(history)
    }
}
