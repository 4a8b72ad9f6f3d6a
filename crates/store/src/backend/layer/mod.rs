//! Wrappers around any backend: one behaviour each, in any order.

mod counting;
mod faulty;

pub use counting::{Counting, Counts};
pub use faulty::{Fault, Faulty};
