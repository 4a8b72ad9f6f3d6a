//! Time and chance as arguments: the real ones, made in one place.

use std::sync::Arc;

use cbr_env::{Clock, Random, SystemClock, SystemRandom};

/// The world outside, as arguments for everything else.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The machine's clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The operating system's randomness.
    pub(crate) random: Arc<dyn Random>,
}

impl World {
    /// The real one.
    pub(crate) fn real() -> Self {
        Self { clock: Arc::new(SystemClock::default()), random: Arc::new(SystemRandom::default()) }
    }
}
