//! A versioned, encrypted block repository over a backend.
//!
//! Usable with the control plane gone: everything needed to list and restore
//! versions lies in the backend's objects, plus the master key. Knows no
//! vault, no HTTP, no SQL. Synchronous: callers bring the threads.

pub mod backend;
pub mod contract;
pub mod crypto;
mod error;
pub mod format;

pub use error::{Error, Result};
pub use format::id::ChainRef;
