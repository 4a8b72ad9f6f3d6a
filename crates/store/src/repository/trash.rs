//! The trash: versions that are deleted and can still be taken back.
//!
//! A version in the trash is gone for everybody who lists or reads, and needed by everything that
//! decides what stays stored. It frees nothing until it is *purged*. Nobody looks at a clock here:
//! when it is time to purge is the caller's business, and if somebody takes a version back at the same
//! time, the numbers of the two records decide.
//!
//! **Marks.** Deleting and taking back undo each other, so a worker that slept and does its task once
//! more could undo what was done after it. Who remembers a mark ([`Repository::mark`]) before it
//! begins, and gives it each time it tries, leaves alone what was moved since.

use std::collections::BTreeSet;

use super::Repository;
use super::delete::record;
use crate::chain::{ChainLog, History};
use crate::delete::account::Chosen;
use crate::delete::shared::Books;
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::format::record::{Deed, TEXT_BYTES_MAX};
use crate::version::{Freed, VersionInfo};

impl Repository {
    /// How far the chain's log of deletions has come. What is tried with this mark, now or later and
    /// however often, does nothing to versions that were moved after it.
    pub fn mark(&self, chain: &ChainRef) -> Result<u64> {
        match self.log(chain)? {
            None => Ok(0),
            Some(log) => Ok(mark_of(&log.read()?.sound()?)),
        }
    }

    /// The versions of a chain that are in the trash, oldest first.
    ///
    /// # Errors
    /// [`Error::Damaged`] if any record of the chain cannot be read: the list would be wrong.
    pub fn trashed(&self, chain: &ChainRef) -> Result<Vec<VersionInfo>> {
        let Some(log) = self.log(chain)? else { return Ok(Vec::new()) };
        let history = log.read()?.sound()?;
        let trashed = history.trashed().into_iter();
        trashed.filter_map(|seq| log.info(&history, seq).transpose()).collect()
    }

    /// Stored bytes that purging all of the chain's trash would set free, exactly.
    pub fn trash_bytes(&self, chain: &ChainRef) -> Result<u64> {
        let Some(log) = self.log(chain)? else { return Ok(0) };
        let books = Books::read(&log, ChainLog::read)?;
        let trash = |books: &Books| {
            let own = books.position(chain).map(|own| books.histories[own].trashed());
            Chosen::from([(*chain, own.unwrap_or_default())])
        };
        Ok(self.prediction_now(&log, books, trash)?.0.freed_bytes)
    }

    /// Puts live versions into the trash. Frees nothing. May be repeated; `by` is for people.
    ///
    /// Versions that are there already, that are gone, or that were moved after `mark` are left as
    /// they are. Without a mark it is as of now.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if one of them never existed; then none is deleted.
    pub fn trash(&self, chain: &ChainRef, seqs: &[u64], mark: Option<u64>, by: &str) -> Result<()> {
        self.check_writable()?;
        check_text(by)?;
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        let Some((log, history)) = self.history_with(chain, &seqs, ChainLog::read)? else {
            return Ok(());
        };
        // What cannot be on a lineage with the others must not become something to be kept.
        history.lineage(history.needed())?;
        let mark = mark.unwrap_or(mark_of(&history));
        let history = log.put_deletes(history, |history| {
            let is_next = |seq: &u64| history.is_live(*seq) && is_unmoved(history, *seq, mark);
            record(Deed::Trash, seqs.iter().copied().filter(is_next), by)
        })?;
        log.fold(&history);
        Ok(())
    }

    /// Takes versions out of the trash: they are live again, as they were. May be repeated.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`] if one of them never existed or is gone for good; what was in the trash
    /// may be live again nevertheless, if that happened meanwhile. [`Error::InTrash`] if it was
    /// deleted again after `mark`.
    pub fn undelete(
        &self,
        chain: &ChainRef,
        seqs: &[u64],
        mark: Option<u64>,
        by: &str,
    ) -> Result<()> {
        self.check_writable()?;
        check_text(by)?;
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        let Some((log, history)) = self.history_with(chain, &seqs, ChainLog::read)? else {
            return Ok(());
        };
        let name = || chain.to_string();
        if let Some(seq) = seqs.iter().find(|seq| !history.is_kept(**seq)) {
            return Err(Error::NoSuchVersion { chain: name(), seq: *seq });
        }
        let mark = mark.unwrap_or(mark_of(&history));
        let history = log.put_deletes(history, |history| {
            record(Deed::Restore, in_trash(history, &seqs, mark), by)
        })?;
        log.fold(&history);
        match seqs.into_iter().find(|seq| !history.is_live(*seq)) {
            None => Ok(()),
            Some(seq) if history.is_kept(seq) => Err(Error::InTrash { chain: name(), seq }),
            Some(seq) => Err(Error::NoSuchVersion { chain: name(), seq }),
        }
    }

    /// Gives up versions in the trash for good, and removes what only they needed.
    ///
    /// A version that is live, or was moved after `mark`, is left alone. May be repeated after a
    /// crash: what is gone stays gone, and the rest is done. What it frees was foreseen by
    /// [`Repository::preview_delete`].
    ///
    /// # Errors
    /// As [`Repository::delete`].
    pub fn purge(
        &self,
        chain: &ChainRef,
        seqs: &[u64],
        mark: Option<u64>,
        by: &str,
    ) -> Result<Freed> {
        self.check_writable()?;
        check_text(by)?;
        let seqs: BTreeSet<u64> = seqs.iter().copied().collect();
        let mark = match mark {
            Some(mark) => mark,
            None => self.mark(chain)?,
        };
        let gone = |history: &History| -> BTreeSet<u64> {
            let is_gone = |seq: &u64| !history.is_kept(*seq);
            seqs.iter().copied().filter(is_gone).chain(in_trash(history, &seqs, mark)).collect()
        };
        self.erase(chain, &seqs, gone, |log, history| {
            log.put_deletes(history, |history| {
                record(Deed::Purge, in_trash(history, &seqs, mark), by)
            })
        })
    }
}

/// A record that cannot be read back would make the whole chain unreadable.
fn check_text(by: &str) -> Result<()> {
    if by.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::Invalid { what: "the name of who deletes is too long".to_owned() })
}

/// The number of the last delete record.
const fn mark_of(history: &History) -> u64 {
    history.next_delete - 1
}

/// Whether the version is where it was when the log had come to `mark`.
fn is_unmoved(history: &History, seq: u64, mark: u64) -> bool {
    history.deletions.last_move(seq) <= mark
}

/// Those of `seqs` that are in the trash since `mark` or before.
fn in_trash(history: &History, seqs: &BTreeSet<u64>, mark: u64) -> impl Iterator<Item = u64> {
    let is_there = move |seq: &u64| history.is_trashed(*seq) && is_unmoved(history, *seq, mark);
    seqs.iter().copied().filter(is_there)
}
