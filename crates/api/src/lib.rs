//! The HTTP contract.

pub mod auth;
mod time;
