//! When a clock is believed: a wrong one, a year ahead for an hour, must not delete a year of backups.
//!
//! A clock that goes on is believed. After a leap – or a standstill of days, which looks the same – it has to go on
//! for a day. On a machine that is never on for that long, what it showed after a leap is believed as a *bound*
//! when somebody has watched for a day since, over however many starts, and it never showed less: the
//! time is at least that (ADR 22 counts observed time).

use cbr_db::{DbError, Tx};
use cbr_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::billing::observed_so_far;

/// Where is kept what is known of the clock.
const SETTING: &str = "retention.clock";
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// A clock that went further between two looks has leapt, or nobody was there to look.
const LEAP_SECONDS: i64 = 2 * DAY_SECONDS;
/// For so long it then has to go on before anything is deleted because of it.
const SETTLE_SECONDS: i64 = DAY_SECONDS;
/// For so long somebody has to have watched before what it showed is a bound; observed microseconds.
const PROOF: u64 = 24 * 60 * 60 * 1_000_000;
/// How often is noted at least that it goes on: far more often than it matters.
const NOTE_SECONDS: i64 = 15 * 60;

/// What may be deleted because of the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// What is at its end now.
    Now,
    /// What was at its end then: the time is at least that.
    Until(Timestamp),
    /// Nothing.
    Nothing,
}

/// What is known of the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ClockWatch {
    /// What it last showed.
    pub(super) seen: Timestamp,
    /// From when on what it says deletes something.
    pub(super) trusted_from: Timestamp,
    /// What it showed after a leap, until that has proven right or wrong.
    #[serde(default)]
    pending: Option<Reading>,
    /// The time is at least that.
    #[serde(default)]
    proven: Option<Timestamp>,
}

/// What a clock showed, and how much time had been observed until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Reading {
    shown: Timestamp,
    observed: u64,
}

impl ClockWatch {
    /// After it shows `now`, so much time having been observed; `before` is what was known, none: this is
    /// the first look.
    pub(super) fn looked(before: Option<Self>, now: Timestamp, observed: u64) -> Self {
        let Some(before) = before else {
            return Self { seen: now, trusted_from: now, pending: None, proven: None };
        };
        let settled = now.plus_seconds(SETTLE_SECONDS);
        let has_leapt = now > before.seen.plus_seconds(LEAP_SECONDS);
        let trusted_from = if has_leapt { settled } else { before.trusted_from.min(settled) };
        let reading = Reading { shown: now, observed };
        // One that shows less than before was wrong then.
        let mut pending = before.pending.filter(|pending| pending.shown <= now);
        let mut proven = before.proven.filter(|proven| *proven <= now);
        if has_leapt {
            pending = pending.or(Some(reading));
        }
        if let Some(old) = pending {
            if observed < old.observed {
                // It was counted anew: the proof begins again.
                pending = Some(Reading { observed, ..old });
            } else if observed - old.observed >= PROOF {
                proven = proven.max(Some(old.shown));
                pending = (now < trusted_from).then_some(reading);
            }
        }
        Self { seen: now, trusted_from, pending, proven }
    }

    /// Whether it has to be noted, `before` being what is: nobody else writes for a clock that only
    /// goes on.
    pub(super) fn is_news(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| {
            let is_old = self.seen >= before.seen.plus_seconds(NOTE_SECONDS);
            let is_other = (self.trusted_from, self.pending, self.proven)
                != (before.trusted_from, before.pending, before.proven);
            is_other || self.seen < before.seen || is_old
        })
    }

    /// Whether what the clock says deletes something.
    pub(super) fn is_trusted(self) -> bool {
        self.seen >= self.trusted_from
    }

    pub(super) fn trust(self) -> Trust {
        match self.proven {
            _ if self.is_trusted() => Trust::Now,
            Some(proven) => Trust::Until(proven),
            None => Trust::Nothing,
        }
    }
}

/// What the clock of now may delete.
pub(crate) async fn trust(tx: &mut Tx) -> Result<Trust, DbError> {
    Ok(look(tx).await?.1.trust())
}

/// What was known of the clock, and what is known after a look at it.
pub(super) async fn look(tx: &mut Tx) -> Result<(Option<ClockWatch>, ClockWatch), DbError> {
    // What cannot be read is as good as a clock that was never seen.
    let text = tx.settings().find(SETTING).await?;
    let before = text.and_then(|text| serde_json::from_str(&text).ok());
    let observed = observed_so_far(tx).await?;
    Ok((before, ClockWatch::looked(before, tx.now(), observed)))
}

/// Notes what is known.
pub(super) async fn note(tx: &mut Tx, watch: ClockWatch) -> Result<(), DbError> {
    let text = serde_json::to_string(&watch).expect("numbers are JSON");
    tx.settings().set(SETTING, &text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1_000_000;

    fn at(hour: i64) -> Timestamp {
        Timestamp(0).plus_seconds(hour * 3600)
    }

    /// No rule of safety asks a clock: one that leaps has to go on for a day before it deletes.
    #[test]
    fn a_clock_that_leaps_deletes_nothing_for_a_day() {
        let mut watch = ClockWatch::looked(None, at(0), 0);
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
            watch = ClockWatch::looked(Some(watch), at(hour), 0);
            assert_eq!(watch.is_trusted(), trusted, "{hour}");
        }
    }

    #[test]
    fn a_clock_that_goes_on_is_noted_now_and_then_and_any_other_at_once() {
        let minute = |n: i64| Timestamp(0).plus_seconds(n * 60);
        let first = ClockWatch::looked(None, minute(0), 0);
        assert!(first.is_news(None));
        for (n, is_news) in [(1, false), (14, false), (15, true), (-1, true), (60 * 24 * 9, true)] {
            let watch = ClockWatch::looked(Some(first), minute(n), 0);
            assert_eq!(watch.is_news(Some(first)), is_news, "{n}");
        }
    }

    /// P11, P22: on a machine that is on for ten hours each week what is old goes in the end, and nothing that is
    /// younger than what has been watched for a day.
    #[test]
    fn a_reading_is_a_bound_after_a_day_of_watching() {
        let mut watch = ClockWatch::looked(None, at(0), 0);
        let mut observed = 0;
        for week in 1..=5 {
            for hour in 0..10 {
                observed += HOUR;
                watch = ClockWatch::looked(Some(watch), at(week * 168 + hour), observed);
                // The readings of the first and of the third week, each 24 hours of watching later.
                let want = match (week, hour) {
                    (1 | 2, _) | (3, ..4) => Trust::Nothing,
                    (3 | 4, _) | (5, ..8) => Trust::Until(at(168)),
                    _ => Trust::Until(at(3 * 168 + 4)),
                };
                assert_eq!(watch.trust(), want, "week {week}, hour {hour}");
            }
        }
        // A clock that ran on for a day is believed as such.
        for hour in 10..34 {
            watch = ClockWatch::looked(Some(watch), at(5 * 168 + hour), observed);
        }
        assert_eq!(watch.trust(), Trust::Now);
    }

    /// A clock that is a year ahead proves nothing if it is set right within a day of watching; what was proven by
    /// one that is set right later is taken back.
    #[test]
    fn what_a_clock_showed_is_no_bound_if_it_ever_shows_less() {
        let first = ClockWatch::looked(None, at(0), 0);
        let ahead = ClockWatch::looked(Some(first), at(9000), 0);
        let set_right = ClockWatch::looked(Some(ahead), at(1), 20 * HOUR);
        assert_eq!((set_right.pending, set_right.trust()), (None, Trust::Nothing));
        let ahead = ClockWatch::looked(Some(ahead), at(9100), 30 * HOUR);
        assert_eq!(ahead.trust(), Trust::Until(at(9000)), "for a day nobody has set it right");
        let set_right = ClockWatch::looked(Some(ahead), at(2), 31 * HOUR);
        assert_eq!(set_right.trust(), Trust::Nothing);
        // Observed time that was lost begins anew, and so does the proof.
        let leapt = ClockWatch::looked(Some(first), at(100), 50 * HOUR);
        let anew = ClockWatch::looked(Some(leapt), at(200), 0);
        assert_eq!(ClockWatch::looked(Some(anew), at(300), 23 * HOUR).trust(), Trust::Nothing);
        assert_eq!(
            ClockWatch::looked(Some(anew), at(300), 24 * HOUR).trust(),
            Trust::Until(at(100))
        );
    }

    /// What an older release kept is read.
    #[test]
    fn an_older_watch_is_read() {
        let text = r#"{"seen":5,"trusted_from":7}"#;
        let watch: ClockWatch = serde_json::from_str(text).unwrap();
        assert_eq!((watch.seen, watch.trusted_from), (Timestamp(5), Timestamp(7)));
        assert_eq!((watch.pending, watch.proven), (None, None));
    }
}
