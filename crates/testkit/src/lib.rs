//! What tests of several crates need and no product code may use.
//!
//! A dev-dependency only. Knows no crate of ours, so that every one may use it.

mod databases;

pub use databases::{Engine, TestDatabase};
