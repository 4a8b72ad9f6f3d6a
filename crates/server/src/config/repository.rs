//! `[repository]`: where backups are kept, and how they are made.

use std::path::PathBuf;

use cbr_store::{Options, Scope};
use serde::{Deserialize, Serialize};

use super::S3Config;
use super::file::{ConfigError, check_absolute, check_range};

/// The longest time in which what is deleted can be taken back: ten years.
const UNDO_DAYS_MAX: u64 = 3660;

/// Where backups are kept, and how they are made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RepositoryConfig {
    /// A directory; none: `repository` in the data directory.
    pub(crate) path: Option<PathBuf>,
    /// The directory lies on a network file system, and the operator knows what that means.
    pub(crate) accept_network_file_system: bool,
    /// Threads that compress and check; none: one per core, at most 16.
    pub(crate) threads: Option<u64>,
    /// What the buffers of one backup or restore may take, in MiB.
    pub(crate) memory_mib: u64,
    /// 1 is fast, 19 is small. The engine's own default, which was chosen by measurement.
    pub(crate) zstd_level: u64,
    /// With what disks share equal blocks that are backed up for the first time.
    pub(crate) dedup: Dedup,
    /// What the search for equal blocks of other disks may take, in MiB.
    pub(crate) dedup_memory_mib: u64,
    /// For how many days what is deleted can be taken back; 0: it is gone at once.
    pub(crate) undo_days: u64,
    /// A bucket instead of a directory.
    pub(crate) s3: Option<S3Config>,
}

/// What shares blocks with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dedup {
    /// The backups of one disk with each other.
    Disk,
    /// The backups of all disks of a project.
    Tenant,
}

impl Default for RepositoryConfig {
    fn default() -> Self {
        Self {
            path: None,
            accept_network_file_system: false,
            threads: None,
            memory_mib: 192,
            zstd_level: 3,
            dedup: Dedup::Disk,
            dedup_memory_mib: 192,
            undo_days: 3,
            s3: None,
        }
    }
}

impl RepositoryConfig {
    /// The engine's settings.
    pub(crate) fn options(&self) -> Options {
        let defaults = Options::default();
        Options {
            threads: self
                .threads
                .and_then(|threads| usize::try_from(threads).ok())
                .unwrap_or(defaults.threads),
            memory_bytes: self.memory_mib << 20,
            zstd_level: i32::try_from(self.zstd_level).unwrap_or(defaults.zstd_level),
            dedup_ram_bytes: self.dedup_memory_mib << 20,
            new_chains: match self.dedup {
                Dedup::Disk => Scope::Volume,
                Dedup::Tenant => Scope::Tenant,
            },
            ..defaults
        }
    }

    /// For how many days what is deleted can be taken back.
    pub(crate) fn undo_days(&self) -> u32 {
        u32::try_from(self.undo_days).unwrap_or(u32::MAX)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_absolute("repository.path", self.path.as_ref())?;
        if let Some(s3) = &self.s3 {
            if self.path.is_some() {
                let why = "give path or s3, not both";
                return Err(ConfigError::invalid("repository.s3", why));
            }
            s3.validate()?;
        }
        check_range("repository.threads", self.threads.unwrap_or(1), 1..=256)?;
        check_range("repository.memory_mib", self.memory_mib, 64..=65_536)?;
        check_range("repository.zstd_level", self.zstd_level, 1..=19)?;
        check_range("repository.dedup_memory_mib", self.dedup_memory_mib, 0..=65_536)?;
        check_range("repository.undo_days", self.undo_days, 0..=UNDO_DAYS_MAX)
    }
}
