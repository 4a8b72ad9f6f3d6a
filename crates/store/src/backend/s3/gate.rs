//! How many requests run at the same time, found out while they run.
//!
//! Additive increase, multiplicative decrease: every good answer raises the limit by a fraction, so
//! that a full round of good ones raises it by one; an answer that says "slow down", or that took
//! suspiciously long, halves it. Requests that began before the last decrease do not decrease it
//! again: they tell of the same congestion.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Where the search begins.
const LIMIT_START: f64 = 8.0;
/// One request may always run.
const LIMIT_MIN: f64 = 1.0;

/// Lets callers through while fewer than the limit are inside.
#[derive(Debug)]
pub(super) struct Gate {
    limit_max: f64,
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug)]
struct State {
    limit: f64,
    inside: usize,
    decreases: u64,
}

/// How a request went, for the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pressure {
    /// As it should.
    None,
    /// It tells nothing about how busy the store is.
    Unclear,
    /// The store is busy.
    High,
}

/// The right to have one request under way; give it back with [`Gate::leave`].
#[derive(Debug)]
#[must_use]
pub(super) struct Slot {
    decreases: u64,
}

impl Gate {
    pub(super) fn new(limit_max: usize) -> Self {
        let limit_max = (limit_max as f64).max(LIMIT_MIN);
        let state = State { limit: LIMIT_START.min(limit_max), inside: 0, decreases: 0 };
        Self { limit_max, state: Mutex::new(state), left: Condvar::new() }
    }

    /// Waits until there is room.
    pub(super) fn enter(&self) -> Slot {
        let mut state = self.lock();
        while state.inside as f64 + 1.0 > state.limit {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Slot { decreases: state.decreases }
    }

    /// Gives the slot back and learns from how it went.
    pub(super) fn leave(&self, slot: Slot, pressure: Pressure) {
        let mut state = self.lock();
        state.inside -= 1;
        match pressure {
            Pressure::None => state.limit = (state.limit + 1.0 / state.limit).min(self.limit_max),
            Pressure::High if slot.decreases == state.decreases => {
                state.limit = (state.limit / 2.0).max(LIMIT_MIN);
                state.decreases += 1;
            }
            Pressure::High | Pressure::Unclear => {}
        }
        drop(state);
        self.left.notify_all();
    }

    /// The limit of this moment.
    pub(super) fn limit(&self) -> f64 {
        self.lock().limit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(gate: &Gate, pressure: Pressure) {
        let slot = gate.enter();
        gate.leave(slot, pressure);
    }

    #[test]
    fn good_answers_raise_the_limit_to_its_maximum_and_one_bad_halves_it() {
        let gate = Gate::new(16);
        for _ in 0..1000 {
            one(&gate, Pressure::None);
        }
        assert!((gate.limit() - 16.0).abs() < 1e-9);
        one(&gate, Pressure::High);
        assert!((gate.limit() - 8.0).abs() < 1e-9);
        one(&gate, Pressure::Unclear);
        assert!((gate.limit() - 8.0).abs() < 1e-9);
        for _ in 0..100 {
            one(&gate, Pressure::High);
        }
        assert!((gate.limit() - 1.0).abs() < 1e-9, "one request always runs");
    }

    #[test]
    fn one_congestion_counts_once_however_many_requests_met_it() {
        let gate = Gate::new(8);
        let slots: Vec<_> = (0..8).map(|_| gate.enter()).collect();
        for slot in slots {
            gate.leave(slot, Pressure::High);
        }
        assert!((gate.limit() - 4.0).abs() < 1e-9);
    }

    #[test]
    fn never_more_than_the_limit_are_inside() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (gate, inside) = (Gate::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let slot = gate.enter();
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        gate.leave(slot, Pressure::None);
                    }
                });
            }
        });
    }
}
