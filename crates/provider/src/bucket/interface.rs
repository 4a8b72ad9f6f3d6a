//! What a bucket can be asked.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::ObjectPath;
use crate::disk::DiskReader;

/// A place where images lie.
///
/// All calls wait for the place: not for tasks of the runtime.
pub trait Bucket: Send + Sync + fmt::Debug {
    /// What lies at `path` now: that it is a raw image of a possible size, and a word that changes
    /// with its content.
    fn look(&self, path: &ObjectPath) -> Result<Seen, BucketError>;

    /// Opens the image that was `seen`; [`BucketError::Changed`] if it is another one by now.
    ///
    /// The reader's size is a multiple of [`SECTOR_BYTES`](super::SECTOR_BYTES); what the image lacks reads as zeros.
    fn open(&self, path: &ObjectPath, seen: &Seen) -> Result<Arc<dyn DiskReader>, BucketError>;

    /// The paths that end in `suffix`, sorted, at most `limit`.
    fn list(&self, suffix: &str, limit: usize) -> Result<Found, BucketError>;

    /// Reads a small object; one that is larger is [`BucketError::Unusable`].
    fn read(&self, path: &ObjectPath, bytes_max: u64) -> Result<Vec<u8>, BucketError>;
}

/// An image as it was at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// How long it is, not padded.
    pub size_bytes: u64,
    /// Another one once the content may be another: compared, never interpreted.
    pub fingerprint: String,
}

/// What a listing found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Sorted.
    pub paths: Vec<ObjectPath>,
    /// There may be more: a limit was reached.
    pub is_cut: bool,
}

/// Why a bucket does not give what it was asked for.
///
/// Messages name the path that was given, never where the bucket lies: tenants read them (ADR 6).
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// Nothing is there.
    #[error("the bucket has no `{0}`")]
    NotFound(ObjectPath),
    /// What is there cannot be taken in.
    #[error("`{path}` cannot be taken in: {why}")]
    Unusable {
        /// The path.
        path: ObjectPath,
        /// Why, and what to do.
        why: String,
    },
    /// It is not what it was.
    #[error("`{0}` changed while it was read; take it in again when nothing writes to it")]
    Changed(ObjectPath),
    /// The place did not answer as it should. Asking again may help.
    #[error("the bucket cannot be read")]
    Unreachable(#[source] io::Error),
}
