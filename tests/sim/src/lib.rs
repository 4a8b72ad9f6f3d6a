//! The storage engine in a simulated world (docs/reliability.md).
//!
//! Actors – writers, deleters, sweepers, checkers, readers – use the engine's public calls on one
//! store. Each has a thread, but exactly one runs at a time: every call of the backend is a point
//! at which a seeded scheduler decides who goes on, and what goes wrong. So a seed is a whole
//! run, and it can be run again. Not shipped; nothing depends on it.

#![expect(clippy::unwrap_used, reason = "a simulation fails by panicking")]

mod actor;
mod backup;
mod cache;
pub mod campaign;
pub mod chance;
pub mod coverage;
pub mod crash;
pub mod disk;
mod files;
mod generate;
mod heal;
mod model;
mod notes;
mod officer;
mod oracle;
pub mod plan;
mod port;
pub mod power;
pub mod run;
mod scenes;
mod settle;
pub mod shrink;
mod trash;
mod upkeep;
mod world;
