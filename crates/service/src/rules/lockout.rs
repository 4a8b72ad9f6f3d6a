//! When logins are refused because too many failed: five within a quarter of an hour from one network,
//! or a hundred from anywhere, lock for a quarter of an hour. So a stranger locks itself out, and only
//! a crowd the user.

use cbr_db::FailedLogins;
use cbr_model::Timestamp;

/// So many failures from one network lock that network.
pub(crate) const NETWORK_MAX: u64 = 5;
/// So many failures from anywhere lock everybody.
pub(crate) const ANYWHERE_MAX: u64 = 100;
/// Failures that are this far apart, in seconds, do not add up.
const WINDOW_SECONDS: i64 = 15 * 60;
/// How long a lock holds, in seconds.
const LOCK_SECONDS: i64 = 15 * 60;

/// Whether logins are refused now, whatever their password.
pub(crate) fn is_locked(failed: &FailedLogins, now: Timestamp) -> bool {
    now < failed.locked_until
}

/// What is to be remembered after one more failure, where `most` lock.
pub(crate) fn after_failure(before: FailedLogins, now: Timestamp, most: u64) -> FailedLogins {
    let is_over = before.count == 0 || before.since.plus_seconds(WINDOW_SECONDS) <= now;
    let (count, since) = if is_over { (1, now) } else { (before.count + 1, before.since) };
    if count >= most {
        // The count begins anew when the lock ends.
        return FailedLogins { count: 0, since: now, locked_until: now.plus_seconds(LOCK_SECONDS) };
    }
    FailedLogins { count, since, locked_until: before.locked_until }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000_000);

    fn failing(times: i64, seconds_apart: i64) -> (FailedLogins, Timestamp) {
        let mut failed = FailedLogins::NONE;
        let mut now = START;
        for _ in 0..times {
            failed = after_failure(failed, now, NETWORK_MAX);
            now = now.plus_seconds(seconds_apart);
        }
        (failed, now)
    }

    /// P27.
    #[test]
    fn five_failures_within_a_quarter_of_an_hour_lock_for_as_long() {
        let (failed, now) = failing(4, 60);
        assert!(!is_locked(&failed, now));
        let (failed, _) = failing(5, 60);
        let at = START.plus_seconds(4 * 60);
        assert!(is_locked(&failed, at));
        assert!(is_locked(&failed, at.plus_seconds(LOCK_SECONDS - 1)));
        assert!(!is_locked(&failed, at.plus_seconds(LOCK_SECONDS)));
        let again = after_failure(failed, at.plus_seconds(LOCK_SECONDS), NETWORK_MAX);
        assert_eq!(again.count, 1, "after a lock the count begins anew");
    }

    #[test]
    fn failures_that_are_far_apart_do_not_add_up() {
        let (failed, now) = failing(50, 4 * 60);
        assert!(!is_locked(&failed, now), "four minutes apart, at most four are in a window");
    }
}
