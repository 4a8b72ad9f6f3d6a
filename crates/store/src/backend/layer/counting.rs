//! Counts calls and bytes, so that a test can hold the engine to a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{Backend, BackendError, Key, Page, Put};

/// A backend that counts what is asked of the inner one.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn Backend>,
    counters: Counters,
}

/// Calls and bytes since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Calls of `put_new`.
    pub puts: u64,
    /// Calls of `get`.
    pub gets: u64,
    /// Calls of `get_range`.
    pub range_gets: u64,
    /// Calls of `size`.
    pub sizes: u64,
    /// Calls of `list`.
    pub lists: u64,
    /// Calls of `delete`.
    pub deletes: u64,
    /// Bytes given to `put_new`.
    pub bytes_put: u64,
    /// Bytes returned by `get` and `get_range`.
    pub bytes_got: u64,
}

#[derive(Debug, Default)]
struct Counters {
    puts: AtomicU64,
    gets: AtomicU64,
    range_gets: AtomicU64,
    sizes: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    bytes_put: AtomicU64,
    bytes_got: AtomicU64,
}

impl Counting {
    /// Counts what is asked of `inner`.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, counters: Counters::default() }
    }

    /// What was asked so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let c = &self.counters;
        Counts {
            puts: read(&c.puts),
            gets: read(&c.gets),
            range_gets: read(&c.range_gets),
            sizes: read(&c.sizes),
            lists: read(&c.lists),
            deletes: read(&c.deletes),
            bytes_put: read(&c.bytes_put),
            bytes_got: read(&c.bytes_got),
        }
    }
}

fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Backend for Counting {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        add(&self.counters.puts, 1);
        add(&self.counters.bytes_put, body.iter().map(|part| part.len()).sum());
        self.inner.put_new(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        add(&self.counters.gets, 1);
        let object = self.inner.get(key)?;
        add(&self.counters.bytes_got, object.as_ref().map_or(0, Vec::len));
        Ok(object)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        add(&self.counters.range_gets, 1);
        let found = self.inner.get_range(key, offset, into)?;
        add(&self.counters.bytes_got, found.map_or(0, |()| into.len()));
        Ok(found)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        add(&self.counters.sizes, 1);
        self.inner.size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        add(&self.counters.lists, 1);
        self.inner.list(prefix, after)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        add(&self.counters.deletes, 1);
        self.inner.delete(key)
    }

    fn prune(&self, prefix: &str) {
        self.inner.prune(prefix);
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
