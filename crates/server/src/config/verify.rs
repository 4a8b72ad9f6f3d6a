//! `[verify]`: reading what is stored again, to find damage before somebody needs the bytes.

use cbr_service::verification::VerifyOptions;
use cbr_store::ScrubLevel;
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_range};

/// How the repository is read again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VerifyConfig {
    /// Whether it is at all.
    pub(crate) enabled: bool,
    /// How closely.
    pub(crate) level: Level,
    /// In how many days everything is read once.
    pub(crate) pass_days: u64,
    /// At most so many bytes a day; 0: as many as the days need.
    pub(crate) bytes_per_day: u64,
    /// At most so many requests a day.
    pub(crate) requests_per_day: u64,
}

/// How closely what is stored is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Listings, records, tables and maps.
    Structure,
    /// Also one piece of each pack.
    Sample,
    /// Every byte.
    #[default]
    Full,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            level: Level::Full,
            pass_days: 30,
            bytes_per_day: 0,
            requests_per_day: 100_000,
        }
    }
}

impl VerifyConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_range("verify.pass_days", self.pass_days, 1..=3650)?;
        check_range("verify.requests_per_day", self.requests_per_day, 24..=1_000_000_000)
    }

    /// For the service; none: off.
    pub(crate) fn options(&self) -> Option<VerifyOptions> {
        let level = match self.level {
            Level::Structure => ScrubLevel::Structure,
            Level::Sample => ScrubLevel::Sample,
            Level::Full => ScrubLevel::Full,
        };
        let Self { pass_days, bytes_per_day, requests_per_day, .. } = *self;
        let options = VerifyOptions { level, pass_days, bytes_per_day, requests_per_day };
        self.enabled.then_some(options)
    }
}
