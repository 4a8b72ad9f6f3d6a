//! A provider in memory, with faults on demand.
//!
//! For the tests of the crates above. It passes the same contract as the real ones,
//! so what works with it works with them as far as the contract goes.

mod disk;
mod faults;
mod inventory;
mod made;
mod provider;
mod source;
mod target;

pub use faults::{Fault, Operation};
pub use provider::FakeProvider;
