//! How the threads of one call stop each other: the first error wins, the others go home.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// The first error of a group of threads.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_set: AtomicBool,
    first: Mutex<Option<Error>>,
}

/// The thread ends because another one failed; that one has reported why.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Stop {
    /// Keeps `error` if it is the first, and tells everybody to stop.
    pub(crate) fn fail(&self, error: Error) -> Stopped {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.is_set.store(true, Ordering::Release);
        Stopped
    }

    /// `result`, its error kept as by [`Stop::fail`].
    pub(crate) fn check<T>(&self, result: Result<T>) -> Result<T, Stopped> {
        if self.is_set.load(Ordering::Acquire) {
            return Err(Stopped);
        }
        result.map_err(|error| self.fail(error))
    }

    /// The verdict when all threads are home.
    pub(crate) fn finish(self) -> Result<()> {
        let first = self.first.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), Err)
    }
}
