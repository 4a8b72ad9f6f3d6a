//! Checkpoints: runs over a vault.

pub(crate) mod run;
mod service;
mod views;

pub use service::{BACKUP_MADE, Checkpoints};
pub use views::{CheckpointView, NewCheckpoint, ResourceChoice};
