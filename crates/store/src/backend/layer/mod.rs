//! Wrappers around any backend: one behaviour each, in any order.

mod arbitrated;
mod counting;
mod faulty;
mod switching;

pub use arbitrated::{ARBITRATED_BYTES_MAX, Arbiter, Arbitrated, Fate, Registered};
pub use counting::{Counting, Counts};
pub use faulty::{Fault, Faulty};
pub use switching::Switching;
