//! Copies in other regions (contract C25, C32).
//!
//! There is one region, so nothing can be copied. Everything that can be looked at is looked at, in the order in
//! which a region with partners would do it: a caller learns what is wrong with the request before it learns
//! that there is nowhere to go.

mod error;
mod service;

pub use error::ReplicaError;
pub use service::{Destination, Replication};
