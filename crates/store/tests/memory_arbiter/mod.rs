//! An arbiter for tests: in memory, and it can fail at any call.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use cbr_store::backend::layer::{Arbiter, Fate, Registered};
use cbr_store::backend::{BackendError, Key, Op};

/// Remembers in memory; may die before or after a call took effect.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The bytes, or nothing once they are written.
    names: Mutex<BTreeMap<Key, Option<Vec<u8>>>>,
    calls: Mutex<u64>,
    /// The call that fails, and whether it takes effect.
    fails: Mutex<Option<(u64, bool)>>,
}

impl Memory {
    pub(crate) fn names(&self) -> MutexGuard<'_, BTreeMap<Key, Option<Vec<u8>>>> {
        self.names.lock().unwrap()
    }

    /// Another one that remembers the same.
    pub(crate) fn copy(&self) -> Self {
        Self { names: Mutex::new(self.names().clone()), ..Self::default() }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        *self.calls.lock().unwrap()
    }

    /// The call with this number, from 1, fails; before that it may take effect.
    pub(crate) fn fail(&self, call: u64, takes_effect: bool) {
        *self.fails.lock().unwrap() = Some((call, takes_effect));
    }

    pub(crate) fn heal(&self) {
        *self.fails.lock().unwrap() = None;
    }

    fn faulty<T>(&self, effect: impl FnOnce() -> T) -> Result<T, BackendError> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        let fault = self.fails.lock().unwrap().filter(|(call, _)| *call == *calls);
        drop(calls);
        let lost = || {
            let source = std::io::Error::other("the database is gone");
            BackendError::Unavailable { op: Op::Put, key: String::new(), source }
        };
        match fault {
            None => Ok(effect()),
            Some((_, false)) => Err(lost()),
            Some((_, true)) => {
                effect();
                Err(lost())
            }
        }
    }
}

impl Arbiter for Memory {
    fn register(&self, key: &Key, body: &[u8]) -> Result<Registered, BackendError> {
        self.faulty(|| {
            let mut names = self.names();
            match names.get(key) {
                Some(Some(body)) => Registered::Before(body.clone()),
                Some(None) => Registered::Written,
                None => {
                    names.insert(key.clone(), Some(body.to_vec()));
                    Registered::First
                }
            }
        })
    }

    fn settle(&self, key: &Key, fate: Fate) -> Result<(), BackendError> {
        self.faulty(|| match fate {
            Fate::Written => drop(self.names().get_mut(key).map(Option::take)),
            Fate::Removed => drop(self.names().remove(key)),
        })
    }

    fn unfinished(&self, most: usize) -> Result<Vec<(Key, Vec<u8>)>, BackendError> {
        self.faulty(|| {
            let names = self.names();
            let open = names.iter().filter_map(|(key, body)| Some((key.clone(), body.clone()?)));
            open.take(most).collect()
        })
    }
}
