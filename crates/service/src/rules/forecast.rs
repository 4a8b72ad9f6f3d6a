//! When a vault will be full, if things go on as they did lately.

use cbr_db::TakenSpace;
use cbr_model::Timestamp;
use cbr_model::size::Bytes;

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// So many days are looked back at most.
const WINDOW_DAYS: i64 = 30;
/// So many days are looked ahead.
const HORIZON_DAYS: u16 = 365;

/// How a vault fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// What `daily` is the mean of, in days: 30, or less as long as there are no older backups.
    pub window_days: u32,
    /// What the backups of a day took, on average, in the window. Those that are gone do not count.
    pub daily: Bytes,
    /// When used capacity will pass the capacity; none: not within a year.
    pub full_at: Option<Timestamp>,
}

/// Goes on with the mean of the last days. Backups that are kept until a time leave then, and new ones
/// are taken to be kept as long as the recent ones are; what rules by number would remove is not
/// foreseen, so with those the vault is full later than is said, or never.
pub(crate) fn forecast(
    now: Timestamp,
    used: Bytes,
    capacity: Bytes,
    taken: &[TakenSpace],
) -> Forecast {
    let age = |made: Timestamp| now.seconds().saturating_sub(made.seconds()).max(0);
    let oldest = taken.iter().map(|one| age(one.made)).max().unwrap_or(0);
    let window = (oldest / DAY_SECONDS + 1).min(WINDOW_DAYS);
    let recent = || taken.iter().filter(move |one| age(one.made) < window * DAY_SECONDS);
    let daily = recent().map(|one| i128::from(one.bytes.0)).sum::<i128>() / i128::from(window);
    // None as soon as one of them is kept for ever.
    let days_kept = recent()
        .map(|one| one.end.map(|end| end.seconds().saturating_sub(one.made.seconds())))
        .try_fold(0, |longest: i64, kept| kept.map(|kept| longest.max(kept / DAY_SECONDS)));
    let mut leaving = vec![0_i128; usize::from(HORIZON_DAYS) + 1];
    for one in taken {
        let Some(end) = one.end else { continue };
        let day = end.seconds().saturating_sub(now.seconds()).max(0) / DAY_SECONDS;
        if let Some(bytes) = usize::try_from(day).ok().and_then(|day| leaving.get_mut(day)) {
            *bytes += i128::from(one.bytes.0);
        }
    }
    let mut left = i128::from(used.0);
    let full_day = (0..=i64::from(HORIZON_DAYS)).zip(leaving).find_map(|(day, leaving)| {
        // What comes on a day comes after what leaves on it; today is as it is.
        if day > 0 {
            left += daily - leaving;
            if days_kept.is_some_and(|kept| day > kept) {
                left -= daily;
            }
        }
        let is_full = left > i128::from(capacity.0);
        if day == 0 {
            left -= leaving;
        }
        is_full.then_some(day)
    });
    Forecast {
        window_days: u32::try_from(window).unwrap_or(1),
        daily: Bytes(u64::try_from(daily).unwrap_or(u64::MAX)),
        full_at: full_day.map(|day| now.plus_seconds(day * DAY_SECONDS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    fn day(n: i64) -> Timestamp {
        NOW.plus_seconds(n * DAY_SECONDS)
    }

    /// One backup a day of 10 bytes for `days` days, each kept for `kept` days.
    fn daily(days: i64, kept: Option<i64>) -> Vec<TakenSpace> {
        let one = |made: i64| TakenSpace {
            made: day(made),
            end: kept.map(|kept| day(made + kept)),
            bytes: Bytes(10),
        };
        (-days + 1..=0).map(one).collect()
    }

    fn full(used: u64, capacity: u64, taken: &[TakenSpace]) -> Option<i64> {
        let at = forecast(NOW, Bytes(used), Bytes(capacity), taken).full_at?;
        Some((at.seconds() - NOW.seconds()) / DAY_SECONDS)
    }

    #[test]
    fn what_is_kept_for_ever_fills_the_vault_in_a_straight_line() {
        let taken = daily(10, None);
        let seen = forecast(NOW, Bytes(100), Bytes(200), &taken);
        assert_eq!((seen.window_days, seen.daily), (10, Bytes(10)));
        assert_eq!(full(100, 200, &taken), Some(11), "200 is not more than 200");
        assert_eq!(full(100, 10_000, &taken), None, "not within a year");
        assert_eq!(full(201, 200, &taken), Some(0));
        assert_eq!(full(0, 200, &[]), None);
    }

    #[test]
    fn what_expires_as_fast_as_it_comes_never_fills_it() {
        assert_eq!(full(100, 105, &daily(10, Some(20))), Some(1));
        assert_eq!(full(100, 201, &daily(10, Some(20))), None, "it levels off at 200");
        assert_eq!(full(200, 215, &daily(20, Some(20))), None);
    }

    #[test]
    fn only_the_last_month_counts() {
        let mut taken = daily(100, None);
        for old in &mut taken[..70] {
            old.bytes = Bytes(1000);
        }
        let seen = forecast(NOW, Bytes(0), Bytes(u64::MAX), &taken);
        assert_eq!((seen.window_days, seen.daily), (30, Bytes(10)));
    }
}
