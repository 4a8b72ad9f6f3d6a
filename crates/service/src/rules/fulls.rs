//! Whether a policy's next backup of a resource is a full one (POL-18 … POL-23).

use cbr_db::Fulls;
use cbr_model::Timestamp;
use cbr_model::policy::retention::Base;
use cbr_model::policy::schedule::FULL_GAP_MIN_MINUTES;
use cbr_model::policy::zone::PolicyZone;

/// What a policy says about full backups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FullRule {
    /// After so many incremental ones; none: never again.
    pub(crate) interval: Option<u32>,
    /// How long its backups are kept.
    pub(crate) base: Base,
    /// Whose days are counted.
    pub(crate) zone: PolicyZone,
}

/// How the next backup is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It holds what changed.
    Incremental,
    /// It holds everything and shares nothing.
    Full,
    /// A full one would be due, less than a day after the last one (POL-19, POL-21).
    PutOff,
}

impl FullRule {
    /// The kind of the backup that is due `at`, of a resource that has backups. `known` is what is
    /// known of its full ones; none: they are of an older version.
    pub(crate) fn kind(&self, known: Option<Fulls>, at: Timestamp) -> Kind {
        let Some(interval) = self.interval else { return Kind::Incremental };
        // POL-22: so few are kept that the interval is never reached.
        if matches!(self.base, Base::Newest(count) if interval >= count) {
            return Kind::Incremental;
        }
        let known = known.unwrap_or(Fulls { full_at: Timestamp(0), since_full: 0 });
        if known.since_full < interval {
            return Kind::Incremental;
        }
        // By the clocks of the zone: once a year a day has 23 hours.
        let day = self.zone.local_seconds(at) - self.zone.local_seconds(known.full_at);
        if day < FULL_GAP_MIN_MINUTES * 60 { Kind::PutOff } else { Kind::Full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn kind(interval: Option<u32>, base: Base, since_full: u32, seconds: i64) -> Kind {
        let rule = FullRule { interval, base, zone: PolicyZone::default() };
        let known = Fulls { full_at: Timestamp(0), since_full };
        rule.kind(Some(known), Timestamp(0).plus_seconds(seconds))
    }

    /// POL-18, POL-19, POL-21, POL-22.
    #[test]
    fn a_full_backup_comes_after_the_interval_and_a_day() {
        use Kind::{Full, Incremental, PutOff};
        let forever = Base::Forever;
        #[rustfmt::skip]
        let table = [
            (None,    forever,          99, 9 * DAY, Incremental),
            (Some(0), forever,          0,  DAY,     Full),
            (Some(0), forever,          0,  DAY - 1, PutOff),
            (Some(7), forever,          6,  9 * DAY, Incremental),
            (Some(7), forever,          7,  9 * DAY, Full),
            (Some(7), forever,          7,  DAY / 3, PutOff),
            (Some(7), Base::Newest(8),  7,  9 * DAY, Full),
            (Some(7), Base::Newest(7),  7,  9 * DAY, Incremental),
            (Some(7), Base::Days(3),    8,  9 * DAY, Full),
        ];
        for (interval, base, since, seconds, expected) in table {
            assert_eq!(
                kind(interval, base, since, seconds),
                expected,
                "{interval:?} {base:?} {since}"
            );
        }
    }

    /// POL-19 by the clocks of the zone: 02:00 to 02:00, also over the night of 23 hours.
    #[test]
    fn a_day_is_one_of_the_zone() {
        let zone = "Europe/Berlin".parse().unwrap();
        let rule = FullRule { interval: Some(0), base: Base::Forever, zone };
        // 2026-03-29 00:30 and 2026-03-30 00:30 in Berlin, 23 hours apart.
        let full_at = Timestamp(1_774_740_600_000_000);
        let known = Some(Fulls { full_at, since_full: 0 });
        assert_eq!(rule.kind(known, full_at.plus_seconds(23 * 3600)), Kind::Full);
        assert_eq!(rule.kind(known, full_at.plus_seconds(22 * 3600)), Kind::PutOff);
        assert_eq!(
            rule.kind(None, full_at),
            Kind::Full,
            "an older version's backups are old enough"
        );
    }
}
