//! How full vaults are over time (MON-01 … MON-04): metrics, samples and what is summed up of them.
//!
//! A vault is measured once in each slot of 15 minutes. What is kept of a slot, an hour or a day is
//! a [`Summary`] of each metric; a longer period is answered by joining summaries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::operation::words;
use crate::size::{Bytes, GIB, Gib};

/// The namespace of all metrics (MON-01).
pub const NAMESPACE: &str = "SYS.CBR";
/// The one dimension: the id of a vault (MON-01).
pub const DIMENSION: &str = "instance_id";
/// Periods that data can be asked for, in seconds (contract F.6). 1 means: as it was measured.
pub const PERIODS: [u32; 6] = [1, 300, 1200, 3600, 14_400, 86_400];

words! {
    /// What is measured.
    #[derive(PartialOrd, Ord)]
    Metric {
        /// Used capacity, GB (MON-02).
        UsedVaultSize = "used_vault_size",
        /// Usage in per cent, never more than 100 (MON-03, MON-04).
        VaultUtil = "vault_util",
        /// Usage in per cent as it is; one backup may go beyond 100 (MON-04, Z-14).
        VaultUtilRaw = "vault_util_raw",
    }
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::UsedVaultSize, Self::VaultUtil, Self::VaultUtilRaw];

    /// The unit of its values.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::UsedVaultSize => "GB",
            Self::VaultUtil | Self::VaultUtilRaw => "%",
        }
    }

    /// Its value for a vault of `size` that holds `used`.
    pub fn measure(self, used: Bytes, size: Gib) -> f64 {
        let ratio = if size.0 == 0 { 0.0 } else { 100.0 * used.0 as f64 / size.bytes().0 as f64 };
        match self {
            Self::UsedVaultSize => used.0 as f64 / GIB as f64,
            Self::VaultUtil => ratio.min(100.0),
            Self::VaultUtilRaw => ratio,
        }
    }
}

words! {
    /// What is asked of the values of a period (contract F.6).
    Filter {
        /// Their mean.
        Average = "average",
        /// The largest.
        Max = "max",
        /// The smallest.
        Min = "min",
        /// Their sum.
        Sum = "sum",
        /// Their variance.
        Variance = "variance",
    }
}

/// What is known of some values without the values.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    spread: f64,
}

impl Summary {
    /// Of one value.
    pub const fn of(value: f64) -> Self {
        Self { count: 1, min: value, max: value, mean: value, spread: 0.0 }
    }

    /// Of both together.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        let (own, others) = (self.count as f64, other.count as f64);
        let (count, apart) = (own + others, other.mean - self.mean);
        Self {
            count: self.count + other.count,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean: self.mean + apart * others / count,
            spread: self.spread + other.spread + apart * apart * own * others / count,
        }
    }

    /// What `filter` asks for.
    pub fn value(&self, filter: Filter) -> f64 {
        match filter {
            Filter::Average => self.mean,
            Filter::Max => self.max,
            Filter::Min => self.min,
            Filter::Sum => self.mean * self.count as f64,
            Filter::Variance => self.spread / self.count as f64,
        }
    }
}

/// A summary of each metric.
pub type Summaries = BTreeMap<Metric, Summary>;

/// What is known after measuring once.
pub fn measured(used: Bytes, size: Gib) -> Summaries {
    Metric::ALL
        .into_iter()
        .map(|metric| (metric, Summary::of(metric.measure(used, size))))
        .collect()
}

/// Of both together.
#[must_use]
pub fn joined(mut one: Summaries, other: &Summaries) -> Summaries {
    for (metric, summary) in other {
        one.entry(*metric).and_modify(|own| *own = own.joined(*summary)).or_insert(*summary);
    }
    one
}

/// Over which time a kept row sums up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Width {
    /// 15 minutes: one measurement.
    Slot,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Width {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Slot, Self::Hour, Self::Day];

    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Slot => 900,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The widest rows that periods of so many seconds can be joined from.
    pub const fn for_period(seconds: u32) -> Self {
        match seconds {
            0..3600 => Self::Slot,
            3600..86_400 => Self::Hour,
            86_400.. => Self::Day,
        }
    }

    /// Number of the row that holds this time.
    pub const fn slot_at(self, at: Timestamp) -> i64 {
        at.seconds().div_euclid(self.seconds())
    }
}

/// The slot of 15 minutes that a time is in.
pub const fn slot_at(at: Timestamp) -> i64 {
    Width::Slot.slot_at(at)
}

/// A kept row: from when on, in seconds since 1970, and what is known.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// Its first second.
    pub begin: i64,
    /// Of each metric.
    pub summaries: Summaries,
}

/// A value of a period.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DataPoint {
    /// The first second of the period, since 1970.
    pub begin: i64,
    /// The value.
    pub value: f64,
}

/// What `filter` says of `metric` in each period of so many seconds for which there is anything.
/// `points` are in order of time.
pub fn series(points: &[Point], metric: Metric, period: u32, filter: Filter) -> Vec<DataPoint> {
    let of = |point: &Point| Some((point.begin, *point.summaries.get(&metric)?));
    joined_by_period(points.iter().filter_map(of), period, filter)
}

/// The same of what is known of some seconds.
pub fn joined_by_period(
    known: impl Iterator<Item = (i64, Summary)>,
    period: u32,
    filter: Filter,
) -> Vec<DataPoint> {
    let period = i64::from(period.max(1));
    let mut buckets: BTreeMap<i64, Summary> = BTreeMap::new();
    for (second, summary) in known {
        let begin = second.div_euclid(period) * period;
        buckets.entry(begin).and_modify(|all| *all = all.joined(summary)).or_insert(summary);
    }
    let value = |(begin, all): (i64, Summary)| DataPoint { begin, value: all.value(filter) };
    buckets.into_iter().map(value).collect()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers are exact in binary")]
mod tests {
    use super::*;

    /// MON-02, MON-03, MON-04, Z-14: GB of 1024, per cent up to 100, and the ratio as it is.
    #[test]
    fn usage_is_clamped_and_also_told_as_it_is() {
        #[rustfmt::skip]
        let table = [
            // used              size      GB     util    raw
            (Bytes(0),           Gib(100), 0.0,   0.0,    0.0),
            (Bytes(GIB / 2),     Gib(100), 0.5,   0.5,    0.5),
            (Gib(100).bytes(),   Gib(100), 100.0, 100.0,  100.0),
            (Gib(125).bytes(),   Gib(100), 125.0, 100.0,  125.0),
            (Gib(1).bytes(),     Gib(0),   1.0,   0.0,    0.0),
        ];
        for (used, size, gb, util, raw) in table {
            assert_eq!(Metric::UsedVaultSize.measure(used, size), gb, "{used:?}");
            assert_eq!(Metric::VaultUtil.measure(used, size), util, "{used:?}");
            assert_eq!(Metric::VaultUtilRaw.measure(used, size), raw, "{used:?}");
        }
    }

    fn points(values: &[f64]) -> Vec<Point> {
        let point = |(i, value): (usize, &f64)| Point {
            begin: 3600 + 900 * i as i64,
            summaries: Summaries::from([(Metric::UsedVaultSize, Summary::of(*value))]),
        };
        values.iter().enumerate().map(point).collect()
    }

    /// Contract F.6: average, max, min, sum and variance of each period.
    #[test]
    fn periods_are_joined_from_what_was_measured() {
        let points = points(&[1.0, 2.0, 3.0, 6.0, 9.0]);
        let of = |period, filter| {
            let series = series(&points, Metric::UsedVaultSize, period, filter);
            series.into_iter().map(|point| (point.begin, point.value)).collect::<Vec<_>>()
        };
        assert_eq!(of(1, Filter::Sum).len(), 5);
        assert_eq!(of(3600, Filter::Average), [(3600, 3.0), (7200, 9.0)]);
        assert_eq!(of(3600, Filter::Max), [(3600, 6.0), (7200, 9.0)]);
        assert_eq!(of(3600, Filter::Min), [(3600, 1.0), (7200, 9.0)]);
        assert_eq!(of(3600, Filter::Sum), [(3600, 12.0), (7200, 9.0)]);
        assert_eq!(of(3600, Filter::Variance), [(3600, 3.5), (7200, 0.0)]);
        assert_eq!(of(1200, Filter::Max), [(3600, 2.0), (4800, 3.0), (6000, 6.0), (7200, 9.0)]);
        assert!(series(&points, Metric::VaultUtil, 1, Filter::Max).is_empty());
    }

    /// What is rolled up says the same as what it was rolled up from.
    #[test]
    fn summaries_join_in_any_grouping() {
        let values = [4.0, 8.0, 15.0, 16.0, 23.0, 42.0];
        let all = |values: &[f64]| {
            values.iter().map(|value| Summary::of(*value)).reduce(Summary::joined).unwrap()
        };
        let whole = all(&values);
        for cut in 1..values.len() {
            let joined = all(&values[..cut]).joined(all(&values[cut..]));
            for filter in [Filter::Average, Filter::Max, Filter::Min, Filter::Sum, Filter::Variance]
            {
                let (a, b) = (whole.value(filter), joined.value(filter));
                assert!((a - b).abs() < 1e-9, "{filter:?} cut at {cut}: {a} {b}");
            }
        }
        assert_eq!(whole.value(Filter::Average), 18.0);
    }

    #[test]
    fn periods_are_read_from_rows_that_fit_into_them() {
        for period in PERIODS {
            let width = Width::for_period(period);
            assert!(period <= 1200 || i64::from(period) % width.seconds() == 0, "{period}");
        }
        assert_eq!(slot_at(Timestamp(900_000_000)), 1);
        assert_eq!(slot_at(Timestamp(899_999_999)), 0);
    }
}
