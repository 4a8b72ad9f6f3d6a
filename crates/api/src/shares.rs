//! How much each of many holds, so that nobody holds more than its share of what there is (P24).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Places, of which each may hold some, and all together some more.
#[derive(Debug)]
pub struct Shares<K> {
    each_max: usize,
    all_max: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    of: K,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// Of `all_max` places each may hold `each_max`.
    pub fn new(each_max: usize, all_max: usize) -> Self {
        Self { each_max, all_max, held: Arc::default() }
    }

    /// A place for `of`; none: it has its share, or all are taken.
    pub fn take(&self, of: K) -> Option<Place<K>> {
        self.take_of(of, self.each_max)
    }

    /// The same for one that speaks for many: it has no share of its own, and may hold all.
    pub fn take_for_many(&self, of: K) -> Option<Place<K>> {
        self.take_of(of, usize::MAX)
    }

    fn take_of(&self, of: K, most: usize) -> Option<Place<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.get(&of).copied().unwrap_or(0);
        if own >= most || held.values().sum::<usize>() >= self.all_max {
            return None;
        }
        held.insert(of.clone(), own + 1);
        Some(Place { of, held: Arc::clone(&self.held) })
    }
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self { each_max: self.each_max, all_max: self.all_max, held: Arc::clone(&self.held) }
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.of) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(held.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P24: neither one nor all of them together hold more than there is, and what is left comes back.
    #[test]
    fn places_are_shared_out_and_come_back() {
        let shares = Shares::new(2, 5);
        let mut held = vec![shares.take("a").unwrap(), shares.take("a").unwrap()];
        assert!(shares.take("a").is_none(), "its share is taken");
        held.extend([shares.take("b").unwrap(), shares.take("b").unwrap()]);
        held.push(shares.take("c").unwrap());
        assert!(shares.take("c").is_none(), "all places are taken");
        drop(held.remove(0));
        assert!(shares.take("a").is_some());
        drop(held);
        assert!(shares.held.lock().unwrap().is_empty(), "nothing is kept of who left");
    }
}
