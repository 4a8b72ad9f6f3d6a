//! How often somebody may do something: counts per window of time, in memory, on each node.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cbr_env::Clock;

/// At most so many of each key in a window. It remembers the keys of one window only.
#[derive(Debug)]
pub(crate) struct PerWindow<K> {
    most: u32,
    window: Duration,
    counts: Mutex<(u64, HashMap<K, u32>)>,
}

impl<K: Eq + Hash> PerWindow<K> {
    /// `most` of each key in every `window`.
    pub(crate) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, counts: Mutex::default() }
    }

    /// Counts one of `key` at this moment; says whether it fits into the window.
    pub(crate) fn admits(&self, key: K, clock: &dyn Clock) -> bool {
        let length = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX).max(1);
        let window = clock.monotonic_micros() / length;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.0 != window {
            *counts = (window, HashMap::new());
        }
        let count = counts.1.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        *count <= self.most
    }
}
