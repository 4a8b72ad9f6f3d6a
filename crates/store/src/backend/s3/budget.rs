//! How many retries a backend may still make, all callers together.
//!
//! Without it, a store that is down gets several times the requests of one that is up, just when it
//! tries to come back. A bucket of tokens: a retry takes one, a success gives a little back. There is
//! no clock in it: a store that answers nothing refills nothing.

use std::sync::{Mutex, PoisonError};

/// Tokens of a full bucket.
const RETRIES_MAX: f64 = 100.0;
/// What a success gives back: in the long run one retry for ten successes.
const REFILL: f64 = 0.1;

/// The bucket.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: Mutex<f64>,
}

impl RetryBudget {
    pub(super) const fn full() -> Self {
        Self { tokens: Mutex::new(RETRIES_MAX) }
    }

    /// Takes what one retry costs; false if there is nothing left.
    pub(super) fn take(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }

    /// A request succeeded.
    pub(super) fn refill(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens + REFILL).min(RETRIES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_end_when_nothing_succeeds_and_come_back_with_successes() {
        let budget = RetryBudget::full();
        let granted = (0..1000).filter(|_| budget.take()).count();
        assert_eq!(granted, 100);
        for _ in 0..9 {
            budget.refill();
        }
        assert!(!budget.take());
        budget.refill();
        budget.refill();
        assert!(budget.take() && !budget.take());
    }
}
