//! Time and chance as arguments: the real ones, made in one place.

use std::path::PathBuf;
use std::sync::Arc;

use cbr_env::{Clock, Random, SystemClock, SystemRandom};

/// The world outside, as arguments for everything else.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The machine's clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The operating system's randomness.
    pub(crate) random: Arc<dyn Random>,
    /// Where the engine leaves for its next process what may be lost; nowhere but in the service.
    pub(crate) cache: Option<PathBuf>,
}

impl World {
    /// The real one.
    pub(crate) fn real() -> Self {
        let (clock, random) = (SystemClock::default(), SystemRandom::default());
        Self { clock: Arc::new(clock), random: Arc::new(random), cache: None }
    }
}
