//! The real binary, from outside: what an operator and a tenant get to see.
//!
//! Each test has a service of its own in a temporary folder. What needs many kills
//! or much data is in `tests/e2e` of the workspace.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod account;
mod client;
mod server;
mod service;
