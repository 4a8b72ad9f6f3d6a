//! What a long call reports while it runs, and how it is stopped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// How far a long call has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the disk (or of the repository, for a check) dealt with so far.
    pub done_bytes: u64,
    /// Bytes to deal with in all. Does not change during a call.
    pub total_bytes: u64,
    /// Bytes stored (backup) or fetched (restore, check) so far.
    pub stored_bytes: u64,
}

/// The caller's side of a long call.
#[derive(Clone)]
pub struct Job {
    /// Called from worker threads, often; must return quickly. Calls of different threads may
    /// overtake each other.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
    /// Set to make the call end soon with [`Error::Cancelled`].
    pub cancel: Arc<AtomicBool>,
}

impl Job {
    /// A job nobody watches and nobody stops.
    pub fn quiet() -> Self {
        Self { progress: Arc::new(|_| ()), cancel: Arc::new(AtomicBool::new(false)) }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// The engine's side: counters that several threads raise.
pub(crate) struct Meter<'a> {
    job: &'a Job,
    total_bytes: u64,
    done_bytes: AtomicU64,
    stored_bytes: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(job: &'a Job, total_bytes: u64) -> Self {
        let (done_bytes, stored_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { job, total_bytes, done_bytes, stored_bytes }
    }

    /// Adds to the counters and tells the caller.
    pub(crate) fn add(&self, done_bytes: u64, stored_bytes: u64) {
        let done = self.done_bytes.fetch_add(done_bytes, Ordering::Relaxed) + done_bytes;
        let stored = self.stored_bytes.fetch_add(stored_bytes, Ordering::Relaxed) + stored_bytes;
        (self.job.progress)(Progress {
            done_bytes: done.min(self.total_bytes),
            total_bytes: self.total_bytes,
            stored_bytes: stored,
        });
    }

    pub(crate) fn check_cancelled(&self) -> Result<()> {
        if self.job.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}
