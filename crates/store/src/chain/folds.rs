//! Reading and writing folds.
//!
//! A fold only ever saves reading: one that is gone, damaged or contradicted by the records after
//! it is passed over, and the records themselves decide.

use super::deletions::Deletions;
use super::fold::{Ends, Folds};
use super::history::{History, info};
use super::log::ChainLog;
use crate::backend::{BackendExt, Entry};
use crate::error::{Error, Result};
use crate::format::place::{self, Place};
use crate::format::record::{Delete, Fold};
use crate::version::VersionInfo;

/// How many folds are tried before the records are read one by one.
const TRIES_MAX: usize = 2;

impl ChainLog {
    /// What the newest fold that can be read says; an empty log if none can.
    pub(super) fn read_fold(&self) -> Result<History> {
        let mut listed = self.list_folds()?;
        for _ in 0..TRIES_MAX {
            let Some(ends) = listed.pop() else { break };
            match self.open_fold(ends) {
                Ok(Some(mut history)) => {
                    history.folds = Folds { used: Some(ends), older: listed };
                    return Ok(history);
                }
                // Removed since it was listed: there is a newer one.
                Ok(None) => {}
                Err(error) if error.is_damage() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(chain = %self.chain, error, "a damaged fold is passed over");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(History::empty(self.chain))
    }

    /// The folds there are, in order.
    fn list_folds(&self) -> Result<Vec<Ends>> {
        let listed = self.backend.list_all(&place::folds(&self.chain))?;
        let ends = |entry: &Entry| match Place::parse(&entry.key) {
            Some(Place::Fold(_, ends)) => Some(ends),
            _ => None,
        };
        Ok(listed.iter().filter_map(ends).collect())
    }

    fn open_fold(&self, ends: Ends) -> Result<Option<History>> {
        let key = place::fold(&self.chain, ends);
        let Some((fold, _)) = self.get::<Fold>(&key)? else { return Ok(None) };
        History::unfolded(self.chain, ends, fold)
            .map(Some)
            .map_err(|wrong| Error::damaged(&key, wrong.0))
    }

    /// Writes a fold if much has happened since the last one, and removes those before that one.
    ///
    /// Whatever goes wrong is no failure of what the caller is doing.
    pub(crate) fn fold(&self, history: &History) {
        let Some((ends, fold)) = history.next_fold(self.fold_after) else { return };
        let done = self.put(&place::fold(&self.chain, ends), &fold).and_then(|_| {
            // The one that was used stays: somebody may have listed it and not read it yet.
            for older in &history.folds.older {
                self.backend.delete(&place::fold(&self.chain, *older))?;
            }
            Ok(())
        });
        if let Err(error) = done {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(chain = %self.chain, error, "the log was not folded");
        }
    }

    /// What a caller learns about a committed version. Its card may have to be read.
    pub(crate) fn info(&self, history: &History, seq: u64) -> Result<Option<VersionInfo>> {
        let Some((committed, session)) = history.committed(seq).zip(history.sessions.get(&seq))
        else {
            return Ok(None);
        };
        if committed.card_is_here {
            return Ok(Some(info(self.chain, seq, &session.claim, &committed.commit)));
        }
        let key = place::outcome(&self.chain, seq);
        let missing = || Error::Missing { object: key.to_string() };
        let (claim, found) = self.read_version(seq)?.ok_or_else(missing)?;
        if found.hash != committed.hash {
            return Err(Error::damaged(&key, "it is not the outcome that was folded"));
        }
        Ok(Some(info(self.chain, seq, &claim, &found.commit)))
    }

    /// Folds that cannot be read or say something else than the records do; `history` is what
    /// those say, all of them.
    pub(crate) fn wrong_folds(&self, history: &History) -> Result<Vec<(String, Error)>> {
        let mut wrong = Vec::new();
        for ends in self.list_folds()? {
            let key = place::fold(&self.chain, ends);
            let differs = || Error::damaged(&key, "it says something else than the records do");
            match self.get::<Fold>(&key) {
                Ok(None) => {}
                Ok(Some((fold, _))) => match self.agrees(&fold, history) {
                    Ok(true) => {}
                    Ok(false) => wrong.push((key.to_string(), differs())),
                    // The record that cannot be read has been reported.
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error),
                },
                Err(error) if error.is_damage() => wrong.push((key.to_string(), error)),
                Err(error) => return Err(error),
            }
        }
        Ok(wrong)
    }

    fn agrees(&self, fold: &Fold, history: &History) -> Result<bool> {
        let mut deletions = Deletions::default();
        for n in 1..=fold.deletes {
            let Some((delete, _)) = self.get::<Delete>(&place::delete(&self.chain, n))? else {
                return Ok(false);
            };
            deletions.apply(n, &delete);
        }
        let is_same = deletions == Deletions::unfolded(fold.deleted.clone(), &fold.moved);
        Ok(is_same && history.has_sessions_of(fold))
    }
}
