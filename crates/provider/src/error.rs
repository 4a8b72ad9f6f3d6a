//! Why a provider did not do what it was asked.
//!
//! Variants differ by what the caller does next: ask again later, give up and
//! show the remedy, pick another volume. The text names the operation; the cause
//! is the source and is not repeated in it.

use std::io;

use cbr_model::ResourceId;

/// What provider operations return.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// Why a provider did not do what it was asked.
///
/// Add a variant only when a caller would act differently on it.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Asking again may help: something outside did not answer as it should.
    #[error("{doing}: {why}")]
    Unavailable {
        /// The operation.
        doing: String,
        /// What went wrong.
        why: String,
    },
    /// The machine failed to read or write. Asking again may help.
    #[error("cannot {doing}")]
    Io {
        /// The operation, to be read after "cannot".
        doing: String,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// Asking again will not help before somebody has changed something.
    #[error("{why}; {remedy}")]
    Refused {
        /// Why it cannot be done.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// There is no such thing, or no longer.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// Whether there is such a thing cannot be told: where it may lie cannot be read. Never to be taken
    /// for [`NotFound`](Self::NotFound): nobody may conclude that it is gone (RGN-07).
    #[error("{what} {id} cannot be reached: {why}")]
    Unreachable {
        /// The kind of thing.
        what: &'static str,
        /// Its id or name.
        id: String,
        /// What cannot be read, and why.
        why: String,
    },
    /// Somebody uses the volume, so it can be neither overwritten nor read in place.
    #[error("volume {volume} is in use: {why}")]
    InUse {
        /// The volume.
        volume: ResourceId,
        /// Who uses it, and what to do.
        why: String,
    },
    /// The volume is smaller than what is to be restored to it (RST-09).
    #[error("volume {volume} holds {size_bytes} bytes, but {needed_bytes} bytes are needed")]
    TooSmall {
        /// The volume.
        volume: ResourceId,
        /// Its size.
        size_bytes: u64,
        /// The size of the backup.
        needed_bytes: u64,
    },
    /// The volume was written to while it was read: what was read is no point in time.
    #[error("volume {volume} changed while it was read: {how}")]
    Changed {
        /// The volume.
        volume: ResourceId,
        /// What shows it.
        how: String,
    },
    /// The operator's configuration cannot be used.
    #[error("configuration: {key}: {why}")]
    Configuration {
        /// Where in the configuration.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ProviderError {
    /// Whether asking again, later, may succeed without anybody changing anything.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Io { .. } | Self::Unreachable { .. } => true,
            Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::TooSmall { .. }
            | Self::Changed { .. }
            | Self::Configuration { .. } => false,
        }
    }

    /// Whether the thing asked for does not exist.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the thing asked for may be there, and lies where nothing can be read now.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn unavailable(doing: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unavailable { doing: doing.into(), why: why.into() }
    }

    pub(crate) fn refused(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), remedy: remedy.into() }
    }

    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub(crate) fn in_use(volume: ResourceId, why: impl Into<String>) -> Self {
        Self::InUse { volume, why: why.into() }
    }
}

/// Turns a failed system call into an error that names the operation.
pub(crate) trait Doing<T> {
    /// `doing` reads well after "cannot".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| ProviderError::Io { doing: doing(), source: error.into() })
    }
}
