//! How much a scrub may read now. Pure.

use cbr_model::Timestamp;
use cbr_store::{ScrubBudget, ScrubLevel};
use serde::{Deserialize, Serialize};

const DAY_SECONDS: u128 = 24 * 60 * 60;
/// What is saved up while backups run, at most.
const SAVED_SECONDS_MAX: i64 = 60 * 60;
/// A pass over little still moves on.
const BYTES_PER_DAY_MIN: u64 = 1 << 30;

/// How the repository is read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyOptions {
    /// How closely.
    pub level: ScrubLevel,
    /// In how many days everything is read once, if the limits allow it.
    pub pass_days: u64,
    /// At most so many bytes; 0: as many as the days need.
    pub bytes_per_day: u64,
    /// At most so many requests to the repository.
    pub requests_per_day: u64,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        let level = ScrubLevel::Full;
        Self { level, pass_days: 30, bytes_per_day: 0, requests_per_day: 100_000 }
    }
}

impl VerifyOptions {
    fn bytes_per_day(&self, stored_bytes: u64) -> u64 {
        match self.bytes_per_day {
            0 => (stored_bytes / self.pass_days.max(1)).max(BYTES_PER_DAY_MIN),
            limit => limit,
        }
    }
}

/// How far the scrub is; kept as JSON in the database.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// Where it goes on, as the store says it.
    pub(super) cursor: String,
    /// When this pass began; zero: never.
    pub(super) pass_started: i64,
    /// When the last whole pass ended.
    pub(super) pass_ended: Option<i64>,
    pub(super) passes: u64,
    /// When the balances were last raised.
    pub(super) counted_at: i64,
    /// What may be read now; below zero what the last step read too much.
    pub(super) bytes: i64,
    pub(super) requests: i64,
    /// Until then somebody is at it, unless it died.
    pub(super) busy_until: i64,
    /// How closely this pass read where it read least; none: an older release began it and did not say.
    pub(super) least: Option<Depth>,
}

/// A level, in the order of how much is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Depth {
    Structure,
    Sample,
    Full,
}

impl From<ScrubLevel> for Depth {
    fn from(level: ScrubLevel) -> Self {
        match level {
            ScrubLevel::Structure => Self::Structure,
            ScrubLevel::Sample => Self::Sample,
            ScrubLevel::Full => Self::Full,
        }
    }
}

impl State {
    /// A pass begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.pass_started = now.0;
        self.least = Some(Depth::Full);
    }

    /// A part was read like this.
    pub(super) fn read(&mut self, level: ScrubLevel) {
        self.least = Some(self.least.unwrap_or(Depth::Structure).min(level.into()));
    }

    /// Whether every byte was read in this pass, whatever the level is by now (P35).
    pub(super) fn is_full(&self) -> bool {
        self.least == Some(Depth::Full)
    }

    /// What may be spent now, after saving up since the last time; none: wait.
    pub(super) fn allow(
        &mut self,
        options: &VerifyOptions,
        stored_bytes: u64,
        now: Timestamp,
    ) -> Option<ScrubBudget> {
        let seconds = match self.counted_at {
            0 => SAVED_SECONDS_MAX,
            before => (now.seconds() - before).clamp(0, SAVED_SECONDS_MAX),
        };
        let saved = |per_day: u64, seconds: i64| {
            let share = u128::from(per_day) * u128::from(seconds.unsigned_abs()) / DAY_SECONDS;
            i64::try_from(share).unwrap_or(i64::MAX)
        };
        let bytes_per_day = options.bytes_per_day(stored_bytes);
        let raise = |balance: i64, per_day: u64| {
            let most = saved(per_day, SAVED_SECONDS_MAX).max(1);
            balance.saturating_add(saved(per_day, seconds)).min(most)
        };
        self.bytes = raise(self.bytes, bytes_per_day);
        self.requests = raise(self.requests, options.requests_per_day);
        self.counted_at = now.seconds();
        let (bytes, requests) =
            (u64::try_from(self.bytes).ok()?, u64::try_from(self.requests).ok()?);
        let budget = ScrubBudget { bytes, requests, level: options.level };
        (bytes > 0 && requests > 0).then_some(budget)
    }

    /// Takes off what was spent; too much is paid back by waiting.
    pub(super) fn spend(&mut self, bytes: u64, requests: u64) {
        let off = |balance: i64, spent: u64| {
            balance.saturating_sub(i64::try_from(spent).unwrap_or(i64::MAX))
        };
        self.bytes = off(self.bytes, bytes);
        self.requests = off(self.requests, requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(0).plus_seconds(seconds)
    }

    #[test]
    fn over_a_day_no_more_is_read_than_the_day_allows_however_large_the_steps() {
        let options = VerifyOptions { bytes_per_day: 24_000, ..VerifyOptions::default() };
        let (mut state, mut read) = (State::default(), 0);
        for minute in 1..=24 * 60 {
            if let Some(budget) = state.allow(&options, 0, at(minute * 60)) {
                // A step reads whole objects, more than it was allowed.
                let step = budget.bytes + 3000;
                state.spend(step, 1);
                read += step;
            }
        }
        assert!((20_000..=24_000 + 1000 + 3000).contains(&read), "{read}");
    }

    /// P35: a pass that began with less, or nobody knows how, has not read everything.
    #[test]
    fn a_pass_is_as_close_as_its_least_part() {
        let mut state: State = serde_json::from_str(r#"{"pass_started":5}"#).unwrap();
        state.read(ScrubLevel::Full);
        assert!(!state.is_full(), "an older release began it");
        state.begin(at(1));
        state.read(ScrubLevel::Full);
        assert!(state.is_full());
        state.read(ScrubLevel::Sample);
        state.read(ScrubLevel::Full);
        assert!(!state.is_full());
        let again: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(again, state);
    }

    #[test]
    fn a_pass_takes_the_days_it_should_unless_a_limit_is_set() {
        let options = VerifyOptions::default();
        assert_eq!(options.bytes_per_day(300 << 30), 10 << 30);
        assert_eq!(options.bytes_per_day(0), BYTES_PER_DAY_MIN);
        let limited = VerifyOptions { bytes_per_day: 5, ..options };
        assert_eq!(limited.bytes_per_day(300 << 30), 5);
    }

    #[test]
    fn requests_run_out_too_and_a_clock_that_goes_back_gives_nothing() {
        let options = VerifyOptions { requests_per_day: 24, ..VerifyOptions::default() };
        let mut state = State::default();
        assert_eq!(state.allow(&options, 0, at(100)).map(|budget| budget.requests), Some(1));
        state.spend(1, 10);
        assert_eq!(state.allow(&options, 0, at(100 + 3600)), None);
        assert_eq!(state.allow(&options, 0, at(50)), None);
        let hours = (1..100).find(|hour| state.allow(&options, 0, at(3600 * (hour + 1))).is_some());
        assert_eq!(hours, Some(9));
    }
}
