//! Time zones: as the contract writes them, `UTC+08:00` (A.6), without daylight saving time; and of
//! the tz database, `Europe/Berlin`, in which a policy may say when it runs (POL-10).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

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

/// Where the times of a policy are told: UTC as the contract has it, or a zone of the tz database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PolicyZone(Tz);

/// Text that names no zone of the tz database.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("name a zone of the tz database, as Europe/Berlin or Asia/Shanghai; or UTC")]
pub struct UnknownZone;

impl Default for PolicyZone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

impl PolicyZone {
    /// All zones there are.
    pub fn all() -> impl Iterator<Item = Self> {
        chrono_tz::TZ_VARIANTS.iter().copied().map(Self)
    }

    /// Its name in the tz database.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether it is UTC, which the contract has.
    pub fn is_utc(self) -> bool {
        self.0 == Tz::UTC
    }

    /// What a clock there shows at `at`, as seconds since 1970-01-01 00:00 of that clock.
    pub fn local_seconds(self, at: Timestamp) -> i64 {
        let utc = DateTime::from_timestamp(at.seconds(), 0).map(|utc| utc.naive_utc());
        at.seconds().saturating_add(utc.map_or(0, |utc| self.offset_at(&utc)))
    }

    /// When a clock there shows `local` seconds since 1970-01-01 00:00; none beyond the calendar.
    ///
    /// A time that comes twice, when clocks are set back, is the first of the two. One that does not
    /// come, when they are set forward, is told as if they had not been: RFC 5545, 3.3.5.
    pub fn instant(self, local: i64) -> Option<Timestamp> {
        let naive = DateTime::from_timestamp(local, 0)?.naive_utc();
        let offset = self.0.offset_from_local_datetime(&naive).earliest();
        let ahead = if let Some(offset) = offset {
            i64::from(offset.fix().local_minus_utc())
        } else {
            // No zone skips more than a day.
            self.offset_at(&naive.checked_sub_signed(TimeDelta::days(2))?)
        };
        local.checked_sub(ahead)?.checked_mul(1_000_000).map(Timestamp)
    }

    fn offset_at(self, utc: &NaiveDateTime) -> i64 {
        i64::from(self.0.offset_from_utc_datetime(utc).fix().local_minus_utc())
    }
}

impl FromStr for PolicyZone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        text.parse().map(Self).map_err(|_| UnknownZone)
    }
}

impl fmt::Display for PolicyZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Timestamp {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        Timestamp(time.and_utc().timestamp_micros())
    }

    /// POL-10: summer and winter; the hour that does not come, and the one that comes twice.
    #[test]
    fn clocks_of_a_zone_are_set_forward_and_back() {
        let berlin: PolicyZone = "Europe/Berlin".parse().unwrap();
        for (local, expected) in [
            ("2026-01-15 02:00", "2026-01-15 01:00"),
            ("2026-07-15 02:00", "2026-07-15 00:00"),
            ("2026-03-29 02:30", "2026-03-29 01:30"),
            ("2026-03-29 03:00", "2026-03-29 01:00"),
            ("2026-10-25 02:30", "2026-10-25 00:30"),
            ("2026-10-25 03:00", "2026-10-25 02:00"),
        ] {
            assert_eq!(berlin.instant(utc(local).seconds()), Some(utc(expected)), "{local}");
        }
        // Samoa had no 30 December 2011.
        let samoa: PolicyZone = "Pacific/Apia".parse().unwrap();
        let skipped = samoa.instant(utc("2011-12-30 02:00").seconds());
        assert_eq!(skipped, Some(utc("2011-12-30 12:00")), "the 31st, 02:00");
        assert_eq!(PolicyZone::default().instant(60), Some(Timestamp(60_000_000)));
        assert_eq!(
            berlin.local_seconds(utc("2026-07-15 00:00")),
            utc("2026-07-15 02:00").seconds()
        );
    }

    #[test]
    fn zones_are_those_of_the_database() {
        assert!(PolicyZone::all().count() > 400);
        for zone in PolicyZone::all() {
            assert_eq!(zone.to_string().parse(), Ok(zone));
        }
        assert_eq!("Mars/Olympus".parse::<PolicyZone>(), Err(UnknownZone));
        assert!("UTC".parse::<PolicyZone>().unwrap().is_utc());
    }

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
