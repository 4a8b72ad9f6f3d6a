//! What a backend must be able to do, and how it may fail.

use std::fmt;
use std::io;

use super::{Key, Probe};
use crate::planted::{self, Bug};

/// The most entries a [`Page`] has.
pub const LIST_PAGE_MAX: usize = 1000;
/// The largest object there is; a larger one is not read into memory (P24).
pub const OBJECT_BYTES_MAX: u64 = (1 << 30) + (64 << 20);

/// A store of immutable named objects.
///
/// Every implementation passes [`crate::contract`].
pub trait Backend: Send + Sync + fmt::Debug {
    /// Creates the object from the concatenated parts of `body`.
    ///
    /// Never overwrites. All or nothing: nobody ever sees a part of it. When it
    /// returns [`Put::Created`] or [`Put::Existed`], that object survives a power cut.
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError>;
    /// The whole object, or `None` if there is none.
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError>;
    /// Fills `into` from `offset` on. An object that ends earlier is [`BackendError::Short`].
    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError>;
    /// The object's size in bytes, or `None` if there is none.
    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError>;
    /// Objects whose key begins with `prefix` and comes after `after`, in byte order of the keys.
    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError>;
    /// Removes the object, durably. An absent object is a success.
    fn delete(&self, key: &Key) -> Result<(), BackendError>;
    /// Removes what the place keeps of names below `prefix` though no object has them: empty directories.
    /// Nothing depends on it; what is in somebody's way stays.
    fn prune(&self, prefix: &str) {
        let _ = prefix;
    }
    /// Asks what only places of this kind can be asked; objects made for that lie under `base`. No
    /// rule of safety depends on the answers.
    fn ask(&self, base: &str) -> Vec<Probe> {
        let _ = base;
        Vec::new()
    }
    /// For people: what kind of backend, and where.
    fn describe(&self) -> String;
}

/// What became of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Put {
    /// The object is new and durable.
    Created,
    /// There was an object of this name already; it was left alone.
    Existed,
    /// It may or may not have happened: look again.
    Unknown,
}

/// An object in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A part of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// At most [`LIST_PAGE_MAX`] objects, sorted by key.
    pub entries: Vec<Entry>,
    /// Whether nothing comes after this page.
    pub is_last: bool,
}

/// A call of a backend, for errors and for injected faults.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Checking a name.
    Name,
    /// Preparing or probing the place.
    Open,
    /// [`Backend::put_new`].
    Put,
    /// [`Backend::get`].
    Get,
    /// [`Backend::get_range`].
    GetRange,
    /// [`Backend::size`].
    Size,
    /// [`Backend::list`].
    List,
    /// [`Backend::delete`].
    Delete,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Open => "open",
            Self::Put => "put",
            Self::Get => "get",
            Self::GetRange => "read",
            Self::Size => "look up",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

/// How a backend fails. Absence is not a failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// It did not work this time; the same call may work later.
    #[error("cannot {op} {key}")]
    Unavailable {
        /// The call.
        op: Op,
        /// The object, prefix or path.
        key: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no room. Deleting still works.
    #[error("no space left to {op} {key}")]
    NoSpace {
        /// The call.
        op: Op,
        /// The object.
        key: String,
    },
    /// A write failed in a way after which nothing written can be trusted, so nothing more is
    /// written until the place is opened again (P20).
    #[error("cannot {op} {key}: the backend is read-only: {reason}")]
    ReadOnly {
        /// The call.
        op: Op,
        /// The object.
        key: String,
        /// What had failed.
        reason: String,
    },
    /// It will not work however often it is tried: a bad name, a place that cannot keep the promises.
    #[error("refused to {op} {key}: {reason}")]
    Refused {
        /// The call.
        op: Op,
        /// The object, or the place.
        key: String,
        /// Why.
        reason: String,
    },
    /// The medium cannot give back what is there: a bad sector, a checksum of the file system.
    #[error("cannot {op} {key}: the medium is damaged")]
    Unreadable {
        /// The call.
        op: Op,
        /// The object.
        key: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The object is larger than any object of the format: it is damaged.
    #[error("{key} has {size_bytes} bytes, more than any object")]
    Oversized {
        /// The object.
        key: String,
        /// Its size.
        size_bytes: u64,
    },
    /// The object is shorter than what was asked of it: it is damaged.
    #[error("{key} ends before byte {end}")]
    Short {
        /// The object.
        key: String,
        /// The end of the range that was asked for.
        end: u64,
    },
}

impl BackendError {
    /// Whether repeating the same call later may succeed without anybody repairing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NoSpace { .. })
    }

    /// Whether the one object is damaged, and others may well be sound.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Oversized { .. } | Self::Short { .. })
    }
}

/// What became of a put after looking again.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Decided {
    /// The object is there and is what was given, by this call or an earlier one.
    Ours,
    /// The object is there and is something else: these bytes.
    Other(Vec<u8>),
}

/// Comfort over [`Backend`].
pub trait BackendExt: Backend {
    /// Every object whose key begins with `prefix`, sorted by key.
    fn list_all(&self, prefix: &str) -> Result<Vec<Entry>, BackendError> {
        self.list_while(prefix, None, |_| true)
    }

    /// The objects whose key begins with `prefix` and comes after `after`, sorted by key; no
    /// further page once `goes_on` is false for the last one of a page.
    fn list_while(
        &self,
        prefix: &str,
        after: Option<Key>,
        goes_on: impl Fn(&Entry) -> bool,
    ) -> Result<Vec<Entry>, BackendError> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let page = match self.list(prefix, all.last().map(|e| &e.key).or(after.as_ref())) {
                Err(_) if !all.is_empty() && planted::has(Bug::BrokenListBelieved) => {
                    return Ok(all);
                }
                page => page?,
            };
            let is_stuck = page.entries.is_empty();
            all.extend(page.entries);
            if page.is_last
                || planted::has(Bug::FirstPageOnly)
                || !is_stuck && all.last().is_some_and(|last| !goes_on(last))
            {
                return Ok(all);
            }
            if is_stuck {
                let source = io::Error::other("an empty page that is not the last");
                let key = prefix.to_owned();
                return Err(BackendError::Unavailable { op: Op::List, key, source });
            }
        }
    }

    /// Puts the object, and finds out what is there when the put does not say.
    ///
    /// # Errors
    /// Also [`BackendError::Unavailable`] if it stays unknown after a few attempts.
    fn put_decided(&self, key: &Key, body: &[&[u8]]) -> Result<Decided, BackendError> {
        const ATTEMPTS_MAX: usize = 4;
        for _ in 0..ATTEMPTS_MAX {
            let put = self.put_new(key, body)?;
            if put == Put::Created {
                return Ok(Decided::Ours);
            }
            // What is there is durable only if a put says so: after Unknown, put again.
            if put == Put::Unknown {
                if planted::has(Bug::UnknownIsCreated) {
                    return Ok(Decided::Ours);
                }
                continue;
            }
            match self.get(key)? {
                Some(there) if is_same(&there, body) => return Ok(Decided::Ours),
                Some(there) => return Ok(Decided::Other(there)),
                None => {}
            }
        }
        let source = io::Error::other("the outcome stays unknown");
        Err(BackendError::Unavailable { op: Op::Put, key: key.to_string(), source })
    }
}

impl<B: Backend + ?Sized> BackendExt for B {}

fn is_same(there: &[u8], body: &[&[u8]]) -> bool {
    let mut rest = there;
    for part in body {
        match rest.strip_prefix(*part) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
