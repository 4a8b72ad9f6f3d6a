//! How long a manual backup is kept (contract C23, Y.4).

use cbr_model::Timestamp;

use crate::{Error, Result};

/// The word for "for ever".
pub(crate) const FOR_EVER: i64 = -1;
const DAYS_MAX: i64 = 36_500;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Checks the number of days a manual backup shall be kept; none: for ever.
pub(crate) fn check_days(days: Option<i64>) -> Result<i64> {
    match days {
        None | Some(FOR_EVER) => Ok(FOR_EVER),
        Some(days) if (1..=DAYS_MAX).contains(&days) => Ok(days),
        Some(days) => Err(Error::invalid(
            "retention_duration_days",
            format!("{days} is neither 1 to {DAYS_MAX} nor {FOR_EVER}"),
        )),
    }
}

/// When a backup made at `created_at` ends; `None`: never.
pub(crate) fn expires_at(created_at: Timestamp, days: i64) -> Option<Timestamp> {
    (days != FOR_EVER).then(|| created_at.plus_seconds(days.saturating_mul(DAY_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_between_one_and_a_hundred_years_or_for_ever() {
        for (given, want) in [(None, -1), (Some(-1), -1), (Some(1), 1), (Some(36_500), 36_500)] {
            assert_eq!(check_days(given).unwrap(), want);
        }
        for bad in [0, -2, 36_501, i64::MIN, i64::MAX] {
            assert!(check_days(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_end_is_whole_days_after_the_beginning() {
        assert_eq!(expires_at(Timestamp(5), 2), Some(Timestamp(5 + 172_800_000_000)));
        assert_eq!(expires_at(Timestamp(5), FOR_EVER), None);
    }
}
