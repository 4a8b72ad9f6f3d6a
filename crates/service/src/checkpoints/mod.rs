//! Checkpoints: runs over a vault.

pub(crate) mod run;
mod service;
mod views;

pub use service::Checkpoints;
pub use views::{CheckpointView, NewCheckpoint, ResourceChoice};
