//! `[tasks]`: how much work is done at once.

use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_range};

/// How much work is done at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TasksConfig {
    /// Backups, restores and deletions that run at the same time.
    pub(crate) workers: u64,
    /// What all backups together read in a second, in MiB; 0: as much as the disks give.
    pub(crate) read_mib_per_second: u64,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self { workers: 2, read_mib_per_second: 0 }
    }
}

impl TasksConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_range("tasks.workers", self.workers, 1..=256)?;
        check_range("tasks.read_mib_per_second", self.read_mib_per_second, 0..=1 << 20)
    }

    /// What all backups together read in a second; 0: as much as the disks give.
    pub(crate) const fn read_bytes_per_second(&self) -> u64 {
        self.read_mib_per_second << 20
    }
}
