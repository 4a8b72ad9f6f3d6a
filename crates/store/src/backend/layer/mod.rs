//! Wrappers around any backend: one behaviour each, in any order.

mod arbitrated;
mod counting;
mod faulty;
mod stoppable;
mod switching;

pub use arbitrated::{ARBITRATED_BYTES_MAX, Arbiter, Arbitrated, Fate, Registered};
pub use counting::{Counting, Counts};
pub use faulty::{Fault, Faulty};
pub use stoppable::Stoppable;
pub use switching::Switching;
