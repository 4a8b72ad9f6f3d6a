//! `[retention]`: when what policies give up is deleted.

use cbr_service::retention::Cleanup;
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_range};

/// When what is at its end is deleted. That it is at its end is exact, whatever is said here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionConfig {
    /// In a window of the day, or at once.
    pub(crate) cleanup: Mode,
    /// The window begins at this hour, in the policy's time zone.
    pub(crate) window_from_hour: u64,
    /// And ends at this one; 24 is midnight.
    pub(crate) window_until_hour: u64,
}

/// In a window, or at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// In the window (RET-16).
    #[default]
    Window,
    /// As soon as it is seen, within a minute.
    Immediate,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { cleanup: Mode::Window, window_from_hour: 12, window_until_hour: 24 }
    }
}

impl RetentionConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_range("retention.window_from_hour", self.window_from_hour, 0..=23)?;
        let after = self.window_from_hour + 1..=24;
        check_range("retention.window_until_hour", self.window_until_hour, after)
    }

    /// For the service.
    pub(crate) fn cleanup(&self) -> Cleanup {
        // Checked when it was read.
        let hour = |hour: u64| u8::try_from(hour).unwrap_or(24);
        match self.cleanup {
            Mode::Immediate => Cleanup::Immediate,
            Mode::Window => Cleanup::Window {
                from_hour: hour(self.window_from_hour),
                until_hour: hour(self.window_until_hour),
            },
        }
    }
}
