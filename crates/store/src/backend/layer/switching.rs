//! Lets somebody else run before a chosen call, from start to end: every interleaving with one
//! switch. Whatever the interrupted one has seen before may be false after it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Backend, BackendError, Key, Page, Put};

type Other = Box<dyn FnOnce() + Send>;

/// A backend that stops for others.
pub struct Switching {
    inner: Arc<dyn Backend>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: u64,
    planned: Option<(u64, Other)>,
}

impl Switching {
    /// Stops for nobody until told to.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Before call number `call` (the first is 0) from now on `other` runs, once. It must not use
    /// this backend.
    pub fn before_call(&self, call: u64, other: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.calls + call;
        state.planned = Some((at, Box::new(other)));
    }

    fn step(&self) -> &dyn Backend {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let call = state.calls;
        state.calls += 1;
        let due = state.planned.take_if(|(at, _)| *at == call);
        drop(state);
        if let Some((_, other)) = due {
            other();
        }
        self.inner.as_ref()
    }
}

impl fmt::Debug for Switching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switching").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Backend for Switching {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.step().put_new(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.step().get(key)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        self.step().get_range(key, offset, into)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.step().size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        self.step().list(prefix, after)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.step().delete(key)
    }

    fn prune(&self, prefix: &str) {
        self.inner.prune(prefix);
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
