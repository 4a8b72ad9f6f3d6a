//! Which values decide in a slot.

use super::condition::{Condition, What};
use crate::Timestamp;
use crate::metric::{DataPoint, Point, Summary, Width, joined_by_period, series};

/// Which kept rows are needed to decide a condition in a slot of 15 minutes: their width, and the
/// first and the last of them.
pub fn needed(condition: &Condition, slot: i64) -> (Width, i64, i64) {
    let step = i64::try_from(condition.step()).unwrap_or(i64::MAX);
    let width = Width::for_period(condition.period);
    let end = end_of(slot, step);
    let begin = end - step * i64::from(condition.count);
    (width, begin.div_euclid(width.seconds()), (end - 1).div_euclid(width.seconds()))
}

/// The values of the last `count` periods that are over at the end of a slot, oldest first; `None`
/// where nothing was measured.
pub fn recent(condition: &Condition, points: &[Point], slot: i64) -> Vec<Option<f64>> {
    let What::Metric(metric) = condition.what else { return Vec::new() };
    last_of(condition, slot, &series(points, metric, step_of(condition), condition.filter))
}

/// When what is published must have been collected to count for a condition in a slot: the first instant
/// and the last.
pub fn needed_of_published(condition: &Condition, slot: i64) -> (Timestamp, Timestamp) {
    let step = i64::from(step_of(condition));
    let end = end_of(slot, step);
    let begin = end - step * i64::from(condition.count);
    (Timestamp(0).plus_seconds(begin), Timestamp(Timestamp(0).plus_seconds(end).0 - 1))
}

/// The same as [`recent`] of values that were published.
pub fn recent_published(
    condition: &Condition,
    values: &[(Timestamp, f64)],
    slot: i64,
) -> Vec<Option<f64>> {
    let summed = values.iter().map(|(at, value)| (at.seconds(), Summary::of(*value)));
    last_of(condition, slot, &joined_by_period(summed, step_of(condition), condition.filter))
}

fn step_of(condition: &Condition) -> u32 {
    u32::try_from(condition.step()).unwrap_or(u32::MAX)
}

fn last_of(condition: &Condition, slot: i64, known: &[DataPoint]) -> Vec<Option<f64>> {
    let step = i64::from(step_of(condition));
    let end = end_of(slot, step);
    let begin = |back: u32| end - step * i64::from(back);
    let value = |begin: i64| known.iter().find(|one| one.begin == begin).map(|one| one.value);
    (1..=condition.count).rev().map(|back| value(begin(back))).collect()
}

/// The end of the last period of `step` seconds that is over at the end of a slot.
const fn end_of(slot: i64, step: i64) -> i64 {
    let end = (slot + 1) * Width::Slot.seconds();
    end.div_euclid(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Comparison;
    use crate::metric::{Filter, Metric, Summaries, Summary};

    fn condition(period: u32, count: u32) -> Condition {
        Condition {
            what: What::Metric(Metric::VaultUtil),
            period,
            filter: Filter::Max,
            comparison: Comparison::AtLeast,
            threshold: 80.0,
            count,
            suppress: 0,
            level: 2,
        }
    }

    fn points(values: &[(i64, f64)]) -> Vec<Point> {
        let point = |(slot, value): &(i64, f64)| Point {
            begin: slot * 900,
            summaries: Summaries::from([(Metric::VaultUtil, Summary::of(*value))]),
        };
        values.iter().map(point).collect()
    }

    /// MON-08: what was measured in the slot counts at once; a longer period only when it is over.
    #[test]
    fn periods_count_when_they_are_over() {
        let points = points(&[(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0), (5, 6.0)]);
        let of = |period, count, slot| recent(&condition(period, count), &points, slot);
        for period in [1, 300] {
            assert_eq!(of(period, 3, 5), [Some(4.0), None, Some(6.0)], "{period}");
        }
        assert_eq!(of(3600, 1, 2), [None], "the hour is not over");
        assert_eq!(of(3600, 1, 3), [Some(4.0)]);
        assert_eq!(of(3600, 2, 7), [Some(4.0), Some(6.0)]);
    }

    /// Contract F.6: what was published in a quarter is joined as the condition says.
    #[test]
    fn what_is_published_is_joined_by_quarter() {
        let at = |seconds| Timestamp(0).plus_seconds(seconds);
        let values: Vec<_> = [(0, 1.0), (899, 5.0), (900, 2.0), (2700, 9.0), (3599, 7.0)]
            .map(|(s, v)| (at(s), v))
            .into();
        let of = |filter, period, count, slot| {
            recent_published(&Condition { filter, ..condition(period, count) }, &values, slot)
        };
        assert_eq!(of(Filter::Max, 300, 4, 3), [Some(5.0), Some(2.0), None, Some(9.0)]);
        assert_eq!(of(Filter::Average, 1, 1, 3), [Some(8.0)]);
        assert_eq!(of(Filter::Sum, 3600, 1, 3), [Some(24.0)]);
        assert_eq!(of(Filter::Sum, 3600, 1, 2), [None], "the hour is not over");
        let needed = needed_of_published(&condition(300, 2), 3);
        assert_eq!(needed, (at(1800), Timestamp(at(3600).0 - 1)), "the next quarter is not in it");
    }

    #[test]
    fn no_more_rows_are_read_than_needed() {
        assert_eq!(needed(&condition(1, 3), 5), (Width::Slot, 3, 5));
        assert_eq!(needed(&condition(3600, 2), 7), (Width::Hour, 0, 1));
        assert_eq!(needed(&condition(3600, 1), 6), (Width::Hour, 0, 0));
        assert_eq!(needed(&condition(86_400, 2), 200), (Width::Day, 0, 1));
        let (width, from, to) = needed(&condition(1200, 3), 5);
        assert_eq!((width, from, to), (Width::Slot, 1, 5), "from 1200 s to 4800 s");
    }
}
