//! `[tasks]`: how much work is done at once.

use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_range};

/// How much work is done at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TasksConfig {
    /// Backups, restores and deletions that run at the same time.
    pub(crate) workers: u64,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self { workers: 2 }
    }
}

impl TasksConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_range("tasks.workers", self.workers, 1..=256)
    }
}
