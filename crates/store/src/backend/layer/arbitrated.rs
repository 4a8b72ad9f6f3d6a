//! Put-if-absent for stores that overwrite: something with a durable memory decides, then the object is
//! written.
//!
//! Some S3-compatible stores ignore `If-None-Match: *`. On them two writers of one name both succeed,
//! and the last one wins. Here an [`Arbiter`] (the database) remembers, for every name, **the bytes that
//! were registered for it first**. From then on everybody who writes the name writes *those* bytes,
//! whoever began it. So it does not matter any more that the store overwrites: it overwrites an
//! object with itself.
//!
//! ```text
//! 1  is the object there?      yes → existed
//! 2  register my bytes         somebody was first → finish *his* put (3, 4), then: existed
//! 3  write the registered bytes
//! 4  note that they are written; the arbiter may forget the bytes, but not the name
//! ```
//!
//! **If the process dies** after 1 nothing happened. After 2 or in the middle of 3 the decision
//! stands, and whoever comes next (another writer of the name, or [`Arbitrated::finish`] at the next
//! start) completes it; nobody has to come back, and a slow writer that wakes up later writes the
//! same bytes again. After 3 the object is there; step 4 is made up for by `finish`. Until step 3 no
//! reader sees the object and its put was not acknowledged, so that readers without the arbiter see
//! a consistent, at worst slightly older, repository.
//!
//! **If the arbiter's memory is lost** (the database is gone, or an old copy was put back), step 1
//! protects everything that was written. What was registered but not written is forgotten, and was
//! never acknowledged. All processes must be stopped before an old copy is put back: one that is
//! between 2 and 3 would write what nobody remembers.
//!
//! **Deleting** forgets the name first and removes the object after that. What is deleted (packs, old
//! keys, folds of logs) is never needed again under its name, so a put that is still under way can
//! at worst bring an object back that nobody refers to; a check reports it.
//!
//! **What needs no arbiter**: generation 0 of a pack. Its name has the random nonce of the
//! session that writes it and a number that session counts up, so there is one writer, with one body.
//! Everything else races by design: descriptor, keys, domains, claims, outcomes, delete records,
//! and later generations of packs (two sweeps may rewrite the same pack).

use std::fmt;
use std::sync::Arc;

use crate::backend::{Backend, BackendError, Key, Op, Page, Probe, Put};
use crate::format::place::Place;
use crate::planted::{self, Bug};

/// The largest object that is registered; rewritten packs are far smaller.
pub const ARBITRATED_BYTES_MAX: u64 = 256 << 20;
/// How many unfinished puts are fetched at once: their bytes are in memory.
const UNFINISHED_PAGE: usize = 4;

/// Remembers durably which bytes a name was first given.
pub trait Arbiter: Send + Sync + fmt::Debug {
    /// Registers `body` for `key`, unless something is registered; says what holds.
    fn register(&self, key: &Key, body: &[u8]) -> Result<Registered, BackendError>;
    /// The object is written, or about to be removed.
    fn settle(&self, key: &Key, fate: Fate) -> Result<(), BackendError>;
    /// Some of the registrations whose objects are not known to be written, with their bytes.
    fn unfinished(&self, most: usize) -> Result<Vec<(Key, Vec<u8>)>, BackendError>;
}

/// What is registered for a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registered {
    /// The bytes of this call: nothing was before.
    First,
    /// Other or the same bytes, by an earlier call; perhaps not written yet.
    Before(Vec<u8>),
    /// An object that is written already.
    Written,
}

/// What becomes of a registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The object is durable: the bytes need not be kept any longer, the name must.
    Written,
    /// The object is being removed: the name is free again.
    Removed,
}

/// A backend that overwrites, made one that does not.
#[derive(Debug)]
pub struct Arbitrated {
    inner: Arc<dyn Backend>,
    arbiter: Arc<dyn Arbiter>,
}

impl Arbitrated {
    /// Lets `arbiter` decide what is put into `inner`.
    pub fn new(inner: Arc<dyn Backend>, arbiter: Arc<dyn Arbiter>) -> Self {
        Self { inner, arbiter }
    }

    /// Completes puts of processes that died. Repeating it, and running it beside others, is harmless.
    ///
    /// # Errors
    /// The arbiter's or the backend's; what remains is completed by the next one that comes.
    pub fn finish(&self) -> Result<(), BackendError> {
        loop {
            let unfinished = self.arbiter.unfinished(UNFINISHED_PAGE)?;
            if unfinished.is_empty() {
                return Ok(());
            }
            for (key, body) in unfinished {
                if self.inner.size(&key)?.is_some() {
                    self.arbiter.settle(&key, Fate::Written)?;
                } else if self.write(&key, &[&body])? == Put::Unknown {
                    let source = std::io::Error::other("an unfinished put stays unfinished");
                    let key = key.to_string();
                    return Err(BackendError::Unavailable { op: Op::Put, key, source });
                }
            }
        }
    }

    /// Steps 3 and 4, for the bytes that are registered.
    fn write(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        match self.inner.put_new(key, body)? {
            Put::Unknown => return Ok(Put::Unknown),
            Put::Created => {}
            // A store that sees some of the races. What is there is what was decided, unless
            // somebody writes past the arbiter.
            Put::Existed if self.inner.get(key)?.is_some_and(|there| there == body.concat()) => {}
            Put::Existed => return Ok(Put::Existed),
        }
        // The object is there, and is what was decided: that stands without the note.
        if let Err(error) = self.arbiter.settle(key, Fate::Written) {
            tracing::warn!(%key, %error, "a written object stays on the list of unfinished ones");
        }
        Ok(Put::Created)
    }
}

/// Whether two writers may give this name different bytes.
fn is_raced(key: &Key) -> bool {
    !matches!(Place::parse(key), Some(Place::Pack(_, 0)))
}

impl Backend for Arbitrated {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        if self.inner.size(key)?.is_some() {
            return Ok(Put::Existed);
        }
        if !is_raced(key) {
            return self.inner.put_new(key, body);
        }
        let whole = body.concat();
        if whole.len() as u64 > ARBITRATED_BYTES_MAX {
            let reason = "too large to be decided by the database".to_owned();
            return Err(BackendError::Refused { op: Op::Put, key: key.to_string(), reason });
        }
        match self.arbiter.register(key, &whole)? {
            Registered::Before(_) if planted::has(Bug::ArbiterAnswerIgnored) => {
                self.write(key, &[&whole])
            }
            Registered::First => self.write(key, &[&whole]),
            Registered::Before(decided) => match self.write(key, &[&decided])? {
                Put::Created | Put::Existed => Ok(Put::Existed),
                Put::Unknown => Ok(Put::Unknown),
            },
            // Written a moment ago, or the store does not show it: in no case a second one.
            Registered::Written => Ok(Put::Existed),
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.inner.get(key)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        self.inner.get_range(key, offset, into)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.inner.size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        self.inner.list(prefix, after)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        if is_raced(key) {
            self.arbiter.settle(key, Fate::Removed)?;
        }
        self.inner.delete(key)
    }

    fn prune(&self, prefix: &str) {
        self.inner.prune(prefix);
    }

    fn ask(&self, base: &str) -> Vec<Probe> {
        self.inner.ask(base)
    }

    fn describe(&self) -> String {
        format!("{}, the database decides", self.inner.describe())
    }
}
