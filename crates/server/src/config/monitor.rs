//! `[monitor]`: how long is kept how full vaults were.

use cbr_service::monitoring::MonitorOptions;
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_range};

/// How long what is measured is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "operators see the unit of each number")]
pub(crate) struct MonitorConfig {
    /// Days for which every quarter of an hour is kept.
    pub(crate) slot_days: u64,
    /// Days for which every hour is kept.
    pub(crate) hour_days: u64,
    /// Days for which every day is kept.
    pub(crate) day_days: u64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        let MonitorOptions { slot_days, hour_days, day_days } = MonitorOptions::default();
        let days = u64::from;
        Self { slot_days: days(slot_days), hour_days: days(hour_days), day_days: days(day_days) }
    }
}

impl MonitorConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        // An alarm may look five days back; more than a quarter of a year of quarters is not answered.
        check_range("monitor.slot_days", self.slot_days, 1..=92)?;
        check_range("monitor.hour_days", self.hour_days, 7..=1825)?;
        check_range("monitor.day_days", self.day_days, 31..=3650)
    }

    /// For the service.
    pub(crate) fn options(&self) -> MonitorOptions {
        let days = |days: u64| u32::try_from(days).unwrap_or(u32::MAX);
        MonitorOptions {
            slot_days: days(self.slot_days),
            hour_days: days(self.hour_days),
            day_days: days(self.day_days),
        }
    }
}
