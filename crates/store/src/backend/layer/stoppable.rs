//! Lets nothing be written or removed any more once it is told so; reading goes on (P21).
//!
//! For the hour in which a store turns out not to keep a promise that everything was built on. It
//! stays stopped as long as the value lives: who opens the place anew asks it anew.

use std::sync::{Arc, OnceLock};

use crate::backend::{Backend, BackendError, Key, Op, Page, Probe, Put};

/// A backend that can be made read-only.
#[derive(Debug)]
pub struct Stoppable {
    inner: Arc<dyn Backend>,
    reason: OnceLock<String>,
}

impl Stoppable {
    /// Stops nothing until told to.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, reason: OnceLock::new() }
    }

    /// From now on nothing is put or deleted. The first reason stays.
    pub fn stop(&self, reason: impl Into<String>) {
        self.reason.get_or_init(|| reason.into());
    }

    /// Why nothing is written any more, if it was stopped.
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    fn check(&self, op: Op, key: &Key) -> Result<(), BackendError> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => {
                let (key, reason) = (key.to_string(), reason.to_owned());
                Err(BackendError::ReadOnly { op, key, reason })
            }
        }
    }
}

impl Backend for Stoppable {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.check(Op::Put, key)?;
        self.inner.put_new(key, body)
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
        self.check(Op::Delete, key)?;
        self.inner.delete(key)
    }

    fn prune(&self, prefix: &str) {
        self.inner.prune(prefix);
    }

    fn ask(&self, base: &str) -> Vec<Probe> {
        self.inner.ask(base)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
