//! The outside as arguments.
//!
//! Time and chance reach the rest of the program only through the two traits
//! of this crate, so that a test can decide both. The crate may not grow.

mod clock;
mod random;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use random::{Random, RandomExt, SeededRandom, SystemRandom};
