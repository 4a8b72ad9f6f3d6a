//! The state machine of an alarm, as a pure function.
//!
//! ```text
//!                    the last `count` values all hold
//!   insufficient_data ─────────────────────────────▶ alarm
//!         ▲  │ a value that does not, or too few        │ ▲
//!         │  ▼                                          ▼ │
//!         └─ no value for `count` periods ──────────── ok
//! ```

use super::condition::Condition;
use crate::operation::words;

words! {
    /// What an alarm knows about what it watches.
    AlarmState {
        /// The condition does not hold.
        Ok = "ok",
        /// It holds.
        Alarm = "alarm",
        /// Nothing is known.
        InsufficientData = "insufficient_data",
    }
}

/// The state after the last values of a condition: one for each of its last `count` periods, oldest
/// first, `None` where nothing was measured.
///
/// A single missing value changes nothing: the vault may have been measured late.
pub fn decide(condition: &Condition, before: AlarmState, values: &[Option<f64>]) -> AlarmState {
    let holds = |value: &Option<f64>| value.is_some_and(|value| condition.holds(value));
    match values.last() {
        _ if values.iter().all(Option::is_none) => AlarmState::InsufficientData,
        _ if values.len() >= condition.count as usize && values.iter().all(holds) => {
            AlarmState::Alarm
        }
        Some(Some(last)) if !condition.holds(*last) => AlarmState::Ok,
        // It holds, but not for long enough; or the newest value is not there yet.
        _ if before == AlarmState::InsufficientData => AlarmState::Ok,
        _ => before,
    }
}

/// Whether an alarm that goes on is told again in a slot of 15 minutes.
pub fn is_told_again(condition: &Condition, slot: i64, told: Option<i64>) -> bool {
    let Some(told) = told else { return false };
    let seconds = slot.saturating_sub(told).saturating_mul(900);
    condition.suppress > 0 && seconds >= i64::from(condition.suppress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Comparison, What};
    use crate::metric::{Filter, Metric};

    fn condition(count: u32, suppress: u32) -> Condition {
        Condition {
            what: What::Metric(Metric::VaultUtil),
            period: 1,
            filter: Filter::Average,
            comparison: Comparison::AtLeast,
            threshold: 80.0,
            count,
            suppress,
            level: 2,
        }
    }

    /// MON-07, MON-08: an alarm is raised after enough periods in a row, and recovers with the first
    /// value that does not hold.
    #[test]
    fn an_alarm_needs_its_periods_in_a_row_and_recovers_at_once() {
        use AlarmState::{Alarm, InsufficientData as None_, Ok};
        let (low, high) = (Some(10.0), Some(90.0));
        #[rustfmt::skip]
        let table = [
            // before  values (oldest first)   after
            (None_, vec![None, None, None],  None_),
            (None_, vec![None, None, high],  Ok),
            (None_, vec![high, high, high],  Alarm),
            (Ok,    vec![low,  high, high],  Ok),
            (Ok,    vec![high, high, high],  Alarm),
            (Ok,    vec![high, None, high],  Ok),    // not in a row
            (Ok,    vec![high, high, None],  Ok),    // perhaps measured late
            (Alarm, vec![high, high, None],  Alarm),
            (Alarm, vec![None, None, high],  Alarm),
            (Alarm, vec![high, high, low],   Ok),
            (Alarm, vec![None, None, None],  None_),
            (Ok,    vec![high, high],        Ok),    // fewer periods than asked for
            (Ok,    vec![],                  None_),
        ];
        for (before, values, after) in table {
            assert_eq!(decide(&condition(3, 0), before, &values), after, "{before:?} {values:?}");
        }
        assert_eq!(decide(&condition(1, 0), Ok, &[high]), Alarm);
    }

    /// Contract F.6, `suppress_duration`.
    #[test]
    fn an_alarm_that_goes_on_is_told_again_after_its_pause() {
        let told = |suppress, slot| is_told_again(&condition(1, suppress), slot, Some(100));
        assert!(!told(0, 1_000_000), "once only");
        assert!(!told(3600, 103));
        assert!(told(3600, 104));
        assert!(told(300, 101));
        assert!(!is_told_again(&condition(1, 300), 101, None), "nothing was told");
    }
}
