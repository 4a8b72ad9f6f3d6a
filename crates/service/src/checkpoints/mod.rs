//! Checkpoints: runs over a vault.

mod service;
mod views;

pub use service::Checkpoints;
pub use views::{CheckpointView, NewCheckpoint, ResourceChoice};
