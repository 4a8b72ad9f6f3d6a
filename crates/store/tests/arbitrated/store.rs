//! A store that overwrites, and what the tests put into it.

use std::sync::Arc;

use cbr_store::backend::layer::{Arbiter, Arbitrated};
use cbr_store::backend::{Backend, BackendError, Key, MemoryBackend, Page, Put};
use cbr_store::{ChainRef, MasterKey, Options};
use uuid::Uuid;

use crate::memory_arbiter::Memory;

/// Ignores conditions, as some stores do.
#[derive(Debug, Default)]
pub(crate) struct Overwriting(pub(crate) MemoryBackend);

impl Backend for Overwriting {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.0.overwrite(key, body.concat());
        Ok(Put::Created)
    }
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.0.get(key)
    }
    fn get_range(&self, key: &Key, at: u64, to: &mut [u8]) -> Result<Option<()>, BackendError> {
        self.0.get_range(key, at, to)
    }
    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.0.size(key)
    }
    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        self.0.list(prefix, after)
    }
    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.0.delete(key)
    }
    fn describe(&self) -> String {
        "a store that overwrites".to_owned()
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn pair() -> (Arc<Overwriting>, Arc<Memory>, Arbitrated) {
    let (store, memory) = (Arc::new(Overwriting::default()), Arc::new(Memory::default()));
    let arbitrated = Arbitrated::new(
        Arc::clone(&store) as Arc<dyn Backend>,
        Arc::clone(&memory) as Arc<dyn Arbiter>,
    );
    (store, memory, arbitrated)
}

pub(crate) const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

pub(crate) fn master() -> MasterKey {
    MasterKey::from_bytes([9; 32])
}

pub(crate) fn options() -> Options {
    Options { threads: 1, pack_bytes: 1 << 18, compact_below_percent: 100, ..Options::default() }
}
