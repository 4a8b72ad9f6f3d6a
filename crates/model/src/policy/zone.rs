//! Time zones as the contract writes them: `UTC+08:00` (A.6). No daylight saving time.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// The westernmost and the easternmost zone that exist, in minutes.
const MINUTES_MIN: i32 = -12 * 60;
const MINUTES_MAX: i32 = 14 * 60;

/// A fixed distance from UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UtcOffset {
    minutes: i32,
}

/// Text that is no zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write it as UTC+08:00, between UTC-12:00 and UTC+14:00")]
pub struct InvalidZone;

impl UtcOffset {
    /// What a clock in this zone shows at `at`, as seconds since 1970-01-01 00:00 of that clock.
    pub const fn local_seconds(self, at: Timestamp) -> i64 {
        at.seconds().saturating_add(self.minutes as i64 * 60)
    }
}

impl FromStr for UtcOffset {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        let (sign, rest) = match text.strip_prefix("UTC").ok_or(InvalidZone)?.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(InvalidZone),
        };
        let (hours, minutes) = rest.split_once(':').ok_or(InvalidZone)?;
        let number = |text: &str| {
            let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|_| is_plain).ok_or(InvalidZone)
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let all = sign * (hours * 60 + minutes);
        if minutes > 59 || !(MINUTES_MIN..=MINUTES_MAX).contains(&all) {
            return Err(InvalidZone);
        }
        Ok(Self { minutes: all })
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let all = self.minutes.abs();
        write!(f, "UTC{sign}{:02}:{:02}", all / 60, all % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.6, `PolicyoODCreate.timezone`.
    #[test]
    fn zones_are_read_and_written_alike() {
        for text in ["UTC+00:00", "UTC+08:00", "UTC-12:00", "UTC+14:00", "UTC-03:30", "UTC+05:45"] {
            assert_eq!(text.parse::<UtcOffset>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "UTC",
            "UTC8",
            "UTC+8:00",
            "UTC+08:60",
            "UTC+14:01",
            "UTC-12:01",
            "utc+08:00",
            "UTC+08:00 ",
            "Asia/Shanghai",
            "UTC+0800",
            "UTC++8:00",
            "UTC备",
        ] {
            assert_eq!(bad.parse::<UtcOffset>(), Err(InvalidZone), "{bad}");
        }
    }

    #[test]
    fn a_clock_in_the_east_is_ahead() {
        let east: UtcOffset = "UTC+08:00".parse().unwrap();
        let west: UtcOffset = "UTC-03:30".parse().unwrap();
        assert_eq!(east.local_seconds(Timestamp(0)), 8 * 3600);
        assert_eq!(west.local_seconds(Timestamp(0)), -(3 * 3600 + 1800));
    }
}
