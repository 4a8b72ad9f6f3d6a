//! Copies in other regions, and backups that a hybrid cloud has in a bucket (contract C25, C26, C32, C33).
//!
//! There is one region and no hybrid cloud, so nothing can be copied and nothing imported. Everything
//! that can be looked at is looked at, in the order in which a region with partners would do it: a
//! caller learns what is wrong with the request before it learns that there is nowhere to go.

mod error;
mod service;

pub use error::ReplicaError;
pub use service::{Destination, Replication};
