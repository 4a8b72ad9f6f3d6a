//! What can go wrong in the store, by what the caller would do differently.
//!
//! A variant names the operation or the object, never a secret. Damage is
//! always an error of its own: it is never mistaken for absence (P1, P4).

use std::io;
use std::ops::Range;

use crate::backend::BackendError;

/// The store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place where the objects lie failed; see the inner error for whether to try again.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Stored bytes are not what was written. Never ignored, never retried into success.
    #[error("{object} is damaged: {what}")]
    Damaged {
        /// The key of the object.
        object: String,
        /// What was found.
        what: String,
    },
    /// An object that must be there is not.
    #[error("{object} is missing")]
    Missing {
        /// The key of the object.
        object: String,
    },
    /// The object was written by a newer release with a feature this one must not guess at.
    #[error("{object} needs a newer release: {what}")]
    Unsupported {
        /// The key of the object.
        object: String,
        /// The unknown feature.
        what: String,
    },
    /// The object is whole, but the given key is not the one it was sealed with.
    #[error("{object} was sealed with another key")]
    WrongKey {
        /// The key of the object.
        object: String,
    },
    /// The object was sealed with a key of its tenant that is not known: the tenant's key was
    /// rotated meanwhile, and trying again finds the new one; or that key's object is lost.
    #[error("{object} was sealed with key {key_id} of its tenant, which is not known")]
    UnknownKey {
        /// The key of the object.
        object: String,
        /// The number of the tenant's key.
        key_id: u32,
    },
    /// What is needed was left out of the key that was given: it is a maintenance key.
    #[error("{object} needs the master key; a maintenance key reads and writes no data")]
    NoKey {
        /// The key of the object, or the prefix of the domain.
        object: String,
    },
    /// The tenant's keys were destroyed on purpose; nothing of its data can be read ever again.
    #[error("the keys of tenant {tenant} were destroyed; its data is gone for good")]
    Shredded {
        /// The tenant's id.
        tenant: String,
    },
    /// There is no store where one was to be opened.
    #[error("there is no repository at {at}")]
    NoStore {
        /// The backend's description of the place.
        at: String,
    },
    /// The place overwrites objects, and what decides instead was not opened with it.
    #[error(
        "{at} overwrites objects, so the database decides who may write; it was not opened, and \
         only reading is possible"
    )]
    NoArbiter {
        /// The backend's description of the place.
        at: String,
    },
    /// Another session of the chain is unfinished.
    #[error("the chain has an unfinished session of {owner:?}")]
    ChainBusy {
        /// Who began that session.
        owner: String,
    },
    /// The version does not exist, or is deleted.
    #[error("there is no version {seq} of chain {chain}")]
    NoSuchVersion {
        /// The chain's id.
        chain: String,
        /// The version's number.
        seq: u64,
    },
    /// The version was deleted and can be taken back; until then nothing reads it.
    #[error("version {seq} of chain {chain} is in the trash: undelete it to use it again")]
    InTrash {
        /// The chain.
        chain: String,
        /// The version's number.
        seq: u64,
    },
    /// Somebody else decided this session's outcome; what it wrote will be cleaned away.
    #[error("the session was aborted by somebody else: {what}")]
    SessionLost {
        /// How that was noticed.
        what: String,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The disk that is being backed up could not be read.
    #[error("cannot read the source at byte {offset}")]
    Source {
        /// Where reading failed.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk that is being restored to could not be written.
    #[error("cannot write the target at byte {offset}")]
    Target {
        /// Where writing failed.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A restore wrote what it could; these byte ranges are not restored.
    #[error("{} byte ranges could not be restored, one of them because of: {first}", ranges.len())]
    Incomplete {
        /// The byte ranges of the disk that were not written, sorted.
        ranges: Vec<Range<u64>>,
        /// The first reason; one that says nothing about what is stored comes before damage.
        first: Box<Error>,
    },
    /// What the backend shows cannot be true; nothing is deleted on such ground (P10).
    #[error("refusing to delete: {what}")]
    Implausible {
        /// What does not fit together.
        what: String,
    },
    /// More would be removed than any deletion explains (P10).
    #[error("refusing to delete: {what}; see the log of the chain before you allow it")]
    AboveCeiling {
        /// How much.
        what: String,
    },
    /// An encoder, a cipher or the memory gave a wrong answer; nothing was uploaded (P6).
    #[error("self-check failed: {what}")]
    SelfCheck {
        /// Which check.
        what: String,
    },
    /// The caller's argument makes no sense.
    #[error("invalid argument: {what}")]
    Invalid {
        /// Which, and why.
        what: String,
    },
    /// A local file that is no part of the store (the master key file) cannot be used.
    #[error("{file}: {what}")]
    KeyFile {
        /// The file's path.
        file: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// An [`Error::Damaged`].
    pub fn damaged(object: impl ToString, what: impl Into<String>) -> Self {
        Self::Damaged { object: object.to_string(), what: what.into() }
    }

    /// Whether repeating the same call later may succeed without anybody repairing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Backend(error) => error.is_transient(),
            Self::ChainBusy { .. } | Self::UnknownKey { .. } => true,
            Self::Incomplete { first, .. } => first.is_transient(),
            _ => false,
        }
    }

    /// Whether it says nothing about any object: the backend does not answer or refuses to, or what is
    /// in the way may be gone the next time.
    pub fn is_no_verdict(&self) -> bool {
        match self {
            Self::Backend(error) => !error.is_damage(),
            Self::Incomplete { first, .. } => first.is_no_verdict(),
            error => error.is_transient(),
        }
    }

    /// Whether the backend did not answer: that says nothing about what was asked for. Whatever else is wrong
    /// concerns one object alone.
    pub(crate) const fn is_no_answer(&self) -> bool {
        matches!(self, Self::Backend(error) if !error.is_damage())
    }

    /// Whether one object is damaged or gone, which says nothing about the others (P5).
    pub(crate) const fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Missing { .. } => true,
            Self::Backend(error) => error.is_damage(),
            _ => false,
        }
    }
}
