//! When what is at its end is deleted (RET-15, RET-16, RET-18), and when a clock is believed.

use cbr_model::Timestamp;
use cbr_model::policy::zone::PolicyZone;
use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// A clock that went further between two looks has leapt, or nobody was there to look.
const LEAP_SECONDS: i64 = 2 * DAY_SECONDS;
/// For so long it then has to go on before anything is deleted because of it.
const SETTLE_SECONDS: i64 = DAY_SECONDS;
/// How often is noted at least that it goes on: far more often than it matters.
const NOTE_SECONDS: i64 = 15 * 60;

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

/// What is known of the clock: a wrong one, a year ahead for an hour, must not delete a year of backups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ClockWatch {
    /// What it last showed.
    pub(super) seen: Timestamp,
    /// From when on what it says deletes something.
    pub(super) trusted_from: Timestamp,
}

impl ClockWatch {
    /// After it shows `now`; `before` is what was known, none: this is the first look.
    pub(super) fn looked(before: Option<Self>, now: Timestamp) -> Self {
        let Some(before) = before else { return Self { seen: now, trusted_from: now } };
        let settled = now.plus_seconds(SETTLE_SECONDS);
        let has_leapt = now > before.seen.plus_seconds(LEAP_SECONDS);
        let trusted_from = if has_leapt { settled } else { before.trusted_from.min(settled) };
        Self { seen: now, trusted_from }
    }

    /// Whether it has to be noted, `before` being what is: nobody else writes for a clock that only
    /// goes on.
    pub(super) fn is_news(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| {
            let is_old = self.seen >= before.seen.plus_seconds(NOTE_SECONDS);
            self.trusted_from != before.trusted_from || self.seen < before.seen || is_old
        })
    }

    /// Whether what the clock says deletes something.
    pub(super) fn is_trusted(self) -> bool {
        self.seen >= self.trusted_from
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

    /// No rule of safety asks a clock: one that leaps has to go on for a day before it deletes.
    #[test]
    fn a_clock_that_leaps_deletes_nothing_for_a_day() {
        let mut watch = ClockWatch::looked(None, at(0));
        assert!(watch.is_trusted());
        for (hour, trusted) in [
            (1, true),
            (48, true),    // a short standstill
            (9000, false), // a leap
            (9001, false),
            (50, false), // set right: it goes on for a day from here
            (73, false),
            (74, true),
        ] {
            watch = ClockWatch::looked(Some(watch), at(hour));
            assert_eq!(watch.is_trusted(), trusted, "{hour}");
        }
    }

    #[test]
    fn a_clock_that_goes_on_is_noted_now_and_then_and_any_other_at_once() {
        let minute = |n: i64| Timestamp(0).plus_seconds(n * 60);
        let first = ClockWatch::looked(None, minute(0));
        assert!(first.is_news(None));
        for (n, is_news) in [(1, false), (14, false), (15, true), (-1, true), (60 * 24 * 9, true)] {
            let watch = ClockWatch::looked(Some(first), minute(n));
            assert_eq!(watch.is_news(Some(first)), is_news, "{n}");
        }
    }
}
