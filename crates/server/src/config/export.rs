//! `[export]`: backups given out as disks over NBD.

use std::path::{Path, PathBuf};

use cbr_service::exports::ExportSettings;
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_absolute, check_range};

/// Backups given out as disks over NBD.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExportConfig {
    /// Where sockets and overlays are; none: `exports` in the data directory.
    pub(crate) directory: Option<PathBuf>,
    /// Exports that are open at the same time.
    pub(crate) exports_max: u64,
    /// Connections of all clients together; each may take 64 MiB.
    pub(crate) connections_max: u64,
    /// What one writable export may take on disk, in GiB.
    pub(crate) overlay_gib_max: u64,
    /// What all exports together keep in memory of what was read lately, in MiB.
    pub(crate) cache_mib: u64,
}

impl Default for ExportConfig {
    fn default() -> Self {
        let (exports_max, connections_max) = (16, 32);
        Self { directory: None, exports_max, connections_max, overlay_gib_max: 64, cache_mib: 64 }
    }
}

impl ExportConfig {
    /// The settings of the service, with `directory` unless another one is configured.
    pub(crate) fn settings(&self, directory: &Path) -> ExportSettings {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        ExportSettings {
            exports_max: number(self.exports_max),
            connections_max: number(self.connections_max),
            overlay_bytes_max: self.overlay_gib_max << 30,
            ..ExportSettings::within(self.directory.as_deref().unwrap_or(directory).to_owned())
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_absolute("export.directory", self.directory.as_ref())?;
        check_range("export.exports_max", self.exports_max, 0..=1024)?;
        check_range("export.connections_max", self.connections_max, 1..=1024)?;
        check_range("export.overlay_gib_max", self.overlay_gib_max, 0..=65_536)?;
        check_range("export.cache_mib", self.cache_mib, 8..=65_536)
    }
}
