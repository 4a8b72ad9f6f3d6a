//! Which occurrences of a policy are due, and which of them can still be started (POL-11, P16).
//!
//! An occurrence may be started until its window is over, or until the next one is due. Of several
//! that could be, the last one is: the others are missed. So after a standstill there is one run, and
//! a row for each that there was none of.

use cbr_model::Timestamp;
use cbr_model::policy::Trigger;
use cbr_model::policy::schedule::{GAP_MIN_MINUTES, Schedule};

/// How late an occurrence may be started where its policy says nothing else, in minutes: no two are
/// closer.
const LATE_MINUTES: i64 = GAP_MIN_MINUTES;
/// So many missed occurrences are written down at once; the rest in the next round.
const MISSED_MAX: usize = 500;

/// What is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    /// Too late to be started, oldest first.
    pub(crate) missed: Vec<Timestamp>,
    /// To be started.
    pub(crate) live: Option<Timestamp>,
    /// The first that is not among them; none at the end of time.
    pub(crate) next: Option<Timestamp>,
}

/// What is due at `now`, from `first` on, which is.
pub(crate) fn due(schedule: &Schedule, trigger: &Trigger, first: Timestamp, now: Timestamp) -> Due {
    let mut found = vec![first];
    let mut next = schedule.next(first);
    while let Some(at) = next.filter(|at| *at <= now && found.len() < MISSED_MAX) {
        found.push(at);
        next = schedule.next(at);
    }
    let is_behind = next.is_some_and(|at| at <= now);
    let last = found.last().copied().filter(|at| !is_behind && now < latest(trigger, *at));
    if last.is_some() {
        found.pop();
    }
    Due { missed: found, live: last, next }
}

/// Whether `at` is an occurrence, and the one that would be started at `now`.
pub(crate) fn is_open(
    schedule: &Schedule,
    trigger: &Trigger,
    at: Timestamp,
    now: Timestamp,
) -> bool {
    let just_before = Timestamp(at.0.saturating_sub(1));
    at <= now
        && now < latest(trigger, at)
        && schedule.next(just_before) == Some(at)
        && schedule.next(at).is_none_or(|next| next > now)
}

/// From when on an occurrence is not started any more.
fn latest(trigger: &Trigger, at: Timestamp) -> Timestamp {
    at.plus_seconds(trigger.start_window_minutes.map_or(LATE_MINUTES, i64::from) * 60)
}

#[cfg(test)]
mod tests {
    use cbr_model::policy::zone::PolicyZone;

    use super::*;

    const HOUR: i64 = 3600;

    fn hourly(window: Option<u32>) -> (Schedule, Trigger) {
        let hours: Vec<String> = (0..24).map(|hour| hour.to_string()).collect();
        let pattern = format!("FREQ=DAILY;BYHOUR={};BYMINUTE=0", hours.join(","));
        let zone = PolicyZone::default();
        let trigger = Trigger { patterns: vec![pattern], start_window_minutes: window, zone };
        (Schedule::new(&trigger, Timestamp(0)).unwrap(), trigger)
    }

    fn at(hour: i64, minute: i64) -> Timestamp {
        Timestamp(0).plus_seconds(hour * HOUR + minute * 60)
    }

    #[test]
    fn the_last_one_is_started_while_its_window_is_open_and_the_others_are_missed() {
        let (schedule, trigger) = hourly(None);
        let look = |now| due(&schedule, &trigger, at(1, 0), now);
        let due_now = look(at(1, 59));
        assert_eq!((due_now.missed.len(), due_now.live), (0, Some(at(1, 0))));
        let later = look(at(5, 30));
        assert_eq!(later.missed, [1, 2, 3, 4].map(|hour| at(hour, 0)));
        assert_eq!((later.live, later.next), (Some(at(5, 0)), Some(at(6, 0))));
        let (schedule, trigger) = hourly(Some(480));
        let wide = due(&schedule, &trigger, at(1, 0), at(5, 30));
        assert_eq!((wide.missed.len(), wide.live), (4, Some(at(5, 0))), "one run, not five");
    }

    #[test]
    fn after_its_window_it_is_missed_and_a_long_list_is_cut() {
        let daily = "FREQ=DAILY;BYHOUR=1;BYMINUTE=0".to_owned();
        let zone = PolicyZone::default();
        let trigger = Trigger { patterns: vec![daily], start_window_minutes: None, zone };
        let schedule = Schedule::new(&trigger, Timestamp(0)).unwrap();
        let look = |now| due(&schedule, &trigger, at(1, 0), now);
        assert_eq!(look(at(1, 59)).live, Some(at(1, 0)));
        let over = look(at(2, 0));
        assert_eq!((over.missed, over.live, over.next), (vec![at(1, 0)], None, Some(at(25, 0))));
        let years = look(at(24 * 2000, 0));
        assert_eq!((years.missed.len(), years.live), (MISSED_MAX, None));
        assert_eq!(years.next, Some(at(1 + 24 * 500, 0)), "it goes on there");
        let open = |at, now| is_open(&schedule, &trigger, at, now);
        assert!(open(at(1, 0), at(1, 0)) && open(at(1, 0), at(1, 59)));
        assert!(
            !open(at(1, 0), at(2, 0)) && !open(at(1, 0), at(0, 59)) && !open(at(0, 59), at(1, 0))
        );
    }
}
