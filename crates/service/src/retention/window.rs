//! When what is at its end is deleted (RET-15, RET-16, RET-18).

use cbr_model::Timestamp;
use cbr_model::policy::zone::PolicyZone;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// When what is at its end is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cleanup {
    /// As soon as it is seen.
    Immediate,
    /// From this hour of the day on, until that one; of the policy's zone. 24 is midnight.
    Window {
        /// 0 to 23.
        from_hour: u8,
        /// 1 to 24.
        until_hour: u8,
    },
}

impl Default for Cleanup {
    fn default() -> Self {
        Self::Window { from_hour: 12, until_hour: 24 }
    }
}

impl Cleanup {
    /// Whether it may be deleted at `now`.
    pub(crate) fn is_open(self, zone: PolicyZone, now: Timestamp) -> bool {
        let Self::Window { from_hour, until_hour } = self else { return true };
        let hour = zone.local_seconds(now).rem_euclid(DAY_SECONDS) / 3600;
        (i64::from(from_hour)..i64::from(until_hour)).contains(&hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp(0).plus_seconds(hour * 3600)
    }

    /// RET-16: 12:00 to 24:00, where the policy is.
    #[test]
    fn the_window_is_the_afternoon_of_the_zone() {
        let utc = PolicyZone::default();
        let window = Cleanup::default();
        for (hour, open) in [(0, false), (11, false), (12, true), (23, true), (24, false)] {
            assert_eq!(window.is_open(utc, at(hour)), open, "{hour}");
            assert!(Cleanup::Immediate.is_open(utc, at(hour)));
        }
        let shanghai = "Asia/Shanghai".parse().unwrap();
        assert!(window.is_open(shanghai, at(4)) && !window.is_open(shanghai, at(16)));
    }
}
