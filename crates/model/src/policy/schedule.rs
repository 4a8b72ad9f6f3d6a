//! When a policy runs: all its patterns together (POL-09 … POL-21, contract B.9).

use super::InvalidPolicy;
use super::Trigger;
use super::pattern::{Days, Pattern};
use super::zone::PolicyZone;
use crate::Timestamp;

/// The most patterns of a policy (contract B.9).
pub const PATTERNS_MAX: usize = 24;
/// The least distance between two runs, in minutes (contract B.9).
pub const GAP_MIN_MINUTES: i64 = 60;
/// The least distance between two full backups, in minutes (POL-19).
pub const FULL_GAP_MIN_MINUTES: i64 = DAY_MINUTES;

const DAY_MINUTES: i64 = 24 * 60;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// No pattern waits longer for its next day.
const DAYS_BETWEEN_RUNS_MAX: i64 = super::pattern::INTERVAL_MAX;
/// No zone sets its clocks further than this, in days.
const ZONE_LEAP_DAYS: i64 = 2;
/// For how many days the distance of full backups is looked at: the schedules of weekly patterns
/// and of any intervals up to ten days repeat within it.
const FULL_CHECK_DAYS_MAX: i64 = 2_520;

/// When a policy runs. It has at least one pattern, and its runs are at least an hour apart by the
/// clocks of its zone. Where those are set, two of them may be closer; two that fall together are one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    patterns: Vec<Pattern>,
    start: Timestamp,
    zone: PolicyZone,
}

impl Schedule {
    /// The schedule of a policy created at `start`.
    pub fn new(trigger: &Trigger, start: Timestamp) -> Result<Self, InvalidPolicy> {
        let texts = &trigger.patterns;
        if texts.is_empty() || texts.len() > PATTERNS_MAX {
            let reason = format!("1 to {PATTERNS_MAX} are needed, {} were given", texts.len());
            return Err(InvalidPolicy::new("pattern", reason));
        }
        let parse = |text: &String| {
            let refused = |why| InvalidPolicy::new("pattern", format!("{why} (`{}`)", head(text)));
            Pattern::parse(text).map_err(refused)
        };
        let patterns = texts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let schedule = Self { patterns, start, zone: trigger.zone };
        schedule.check_gaps(texts)?;
        Ok(schedule)
    }

    /// The first run after `after`, and not before the policy was created.
    ///
    /// `None` only at the end of time.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.max(self.start);
        let first_on = |day: i64| {
            let instants = self
                .minutes_on(day)
                .into_iter()
                .filter_map(move |minute| self.instant(day, minute));
            instants.filter(|at| *at > after).min()
        };
        let today = self.day_of(after);
        let mut days = today - ZONE_LEAP_DAYS..=today + DAYS_BETWEEN_RUNS_MAX + ZONE_LEAP_DAYS;
        let (day, first) = days.find_map(|day| first_on(day).map(|at| (day, at)))?;
        // A time that its day does not have comes later than the first one of the next.
        let later = (day + 1..=day + ZONE_LEAP_DAYS).filter_map(first_on);
        Some(later.fold(first, Timestamp::min))
    }

    /// The next `count` runs after `after`.
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |at| self.next(*at)).take(count).collect()
    }

    /// Whether a full backup every `interval` + 1 runs keeps a day between two of them (POL-19,
    /// POL-20); if not, how many runs there are in some 24 hours.
    pub fn check_full_interval(&self, interval: u32) -> Result<(), usize> {
        let first = self.day_of(self.start);
        let all: Vec<i64> = (0..=self.full_check_days())
            .flat_map(|day| {
                let minutes = self.minutes_on(first + day).into_iter();
                minutes.map(move |minute| day * DAY_MINUTES + minute)
            })
            .collect();
        let most = all
            .iter()
            .enumerate()
            .map(|(i, at)| all[i..].iter().take_while(|t| *t - at < FULL_GAP_MIN_MINUTES).count())
            .max()
            .unwrap_or(0);
        if most <= interval as usize + 1 { Ok(()) } else { Err(most) }
    }

    /// After how many days the schedule repeats, or as many as are looked at.
    fn full_check_days(&self) -> i64 {
        let periods = self.patterns.iter().map(|pattern| pattern.days().period());
        periods.fold(1, |all, one| (all / gcd(all, one) * one).min(FULL_CHECK_DAYS_MAX))
    }

    /// The minutes of a day's runs, earliest first.
    fn minutes_on(&self, day: i64) -> Vec<i64> {
        let first = self.day_of(self.start);
        let due = self.patterns.iter().filter(|pattern| pattern.days().include(day, first));
        let mut minutes: Vec<i64> = due.flat_map(Pattern::minutes).collect();
        minutes.sort_unstable();
        minutes
    }

    /// The zone's day of an instant: days since 1970-01-01.
    fn day_of(&self, at: Timestamp) -> i64 {
        self.zone.local_seconds(at).div_euclid(DAY_SECONDS)
    }

    fn instant(&self, day: i64, minute: i64) -> Option<Timestamp> {
        self.zone.instant(day.checked_mul(DAY_SECONDS)?.checked_add(minute * 60)?)
    }

    /// Any two runs, of whatever patterns and days, must be an hour apart.
    ///
    /// Whether two patterns ever meet on the same or neighbouring days follows from their periods
    /// (Chinese remainder theorem), so no calendar has to be walked through.
    fn check_gaps(&self, texts: &[String]) -> Result<(), InvalidPolicy> {
        let first = self.day_of(self.start);
        let mut seen: Vec<Point> = Vec::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let (days, period) = (pattern.days(), pattern.days().period());
            for (remainder, minute) in points(days, first, pattern) {
                let point = Point { index, period, remainder, minute };
                if let Some(other) = seen.iter().find(|other| point.is_too_close(other)) {
                    return Err(too_close(&texts[other.index], &texts[index]));
                }
                seen.push(point);
            }
        }
        Ok(())
    }
}

/// Every run of a pattern within one of its periods.
fn points(days: Days, first: i64, pattern: &Pattern) -> Vec<(i64, i64)> {
    let each = |remainder| pattern.minutes().map(move |minute| (remainder, minute));
    days.remainders(first).into_iter().flat_map(each).collect()
}

/// A run that comes again after `period` days.
struct Point {
    index: usize,
    period: i64,
    remainder: i64,
    minute: i64,
}

impl Point {
    fn is_too_close(&self, other: &Self) -> bool {
        let together = gcd(self.period, other.period);
        // The other one on the day before, the same day, the day after.
        [-1, 0, 1].into_iter().any(|shift| {
            let meets = (self.remainder + shift - other.remainder).rem_euclid(together) == 0;
            let distance = (other.minute + shift * DAY_MINUTES - self.minute).abs();
            meets && distance < GAP_MIN_MINUTES
        })
    }
}

fn too_close(a: &str, b: &str) -> InvalidPolicy {
    let (a, b) = (head(a), head(b));
    let reason = format!(
        "runs must be at least {GAP_MIN_MINUTES} minutes apart, and those of `{a}` and `{b}` are not"
    );
    InvalidPolicy::new("pattern", reason)
}

fn head(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

const fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use cbr_env::{RandomExt as _, SeededRandom};

    use super::*;

    const MINUTE: i64 = 60_000_000;
    /// 2024-08-05T10:00:00Z, a Monday.
    const MONDAY: Timestamp = Timestamp(1_722_852_000_000_000);

    fn schedule(patterns: &[&str]) -> Result<Schedule, InvalidPolicy> {
        Schedule::new(&trigger(patterns, PolicyZone::default()), MONDAY)
    }

    fn trigger(patterns: &[&str], zone: PolicyZone) -> Trigger {
        let patterns = patterns.iter().map(|text| (*text).to_owned()).collect();
        Trigger { patterns, start_window_minutes: None, zone }
    }

    /// Hours after Monday 00:00.
    fn hours(schedule: &Schedule, after: Timestamp, count: usize) -> Vec<i64> {
        let midnight = MONDAY.plus_seconds(-10 * 3600);
        let runs = schedule.upcoming(after, count);
        runs.into_iter().map(|at| at.micros_since(midnight) / (60 * MINUTE)).collect()
    }

    fn daily(interval: i64, hours: &str) -> String {
        format!("FREQ=DAILY;INTERVAL={interval};BYHOUR={hours};BYMINUTE=00")
    }

    /// POL-16: created Monday 10:00 for 02:00, every day: Tuesday; every three days: Thursday.
    #[test]
    fn the_first_run_is_in_the_next_cycle_when_the_time_of_today_has_passed() {
        for (interval, first) in [(1, 26), (3, 74)] {
            let schedule = schedule(&[&daily(interval, "02")]).unwrap();
            assert_eq!(hours(&schedule, MONDAY, 1), [first], "every {interval} days");
        }
    }

    /// POL-17: the later times of the day of creation are still run.
    #[test]
    fn later_times_of_the_day_of_creation_are_run() {
        let schedule = schedule(&[&daily(2, "02,12,23")]).unwrap();
        assert_eq!(hours(&schedule, MONDAY, 4), [12, 23, 50, 60]);
        assert_eq!(hours(&schedule, Timestamp(0), 1), [12], "none before it was created");
    }

    /// POL-14.
    #[test]
    fn weekly_patterns_run_on_their_days() {
        let schedule = schedule(&["FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9;BYMINUTE=00"]).unwrap();
        assert_eq!(hours(&schedule, MONDAY, 3), [57, 177, 225]);
    }

    /// Contract B.9: one hour, over midnight, over weeks, between patterns that seldom meet.
    #[test]
    fn runs_less_than_an_hour_apart_are_refused_wherever_they_meet() {
        let weekly = |day: &str, time: &str| {
            let (hour, minute) = time.split_once(':').unwrap();
            format!("FREQ=WEEKLY;BYDAY={day};BYHOUR={hour};BYMINUTE={minute}")
        };
        let every = |n: i64, time: &str| {
            let (hour, minute) = time.split_once(':').unwrap();
            format!("FREQ=DAILY;INTERVAL={n};BYHOUR={hour};BYMINUTE={minute}")
        };
        let table = [
            (vec![daily(1, "6"), daily(1, "7")], true),
            (vec![daily(1, "6"), daily(1, "06")], false),
            (vec![every(1, "6:00"), every(1, "6:59")], false),
            (vec![every(1, "23:30"), every(1, "0:00")], false),
            (vec![every(1, "23:30"), every(1, "0:30")], true),
            (vec![weekly("SU", "23:30"), weekly("MO", "0:00")], false),
            (vec![weekly("SU", "23:30"), weekly("TU", "0:00")], true),
            (vec![weekly("MO", "6:00"), weekly("TU", "6:30")], true),
            // Every second and every third day meet on the sixth.
            (vec![every(2, "6:00"), every(3, "6:30")], false),
            // Four and six days: from the same start their days are even, so never neighbours.
            (vec![every(4, "23:30"), every(6, "0:00")], true),
            (vec![every(4, "23:30"), every(5, "0:00")], false),
            // Every five days comes by every day of the week, every seven days by Mondays only.
            (vec![every(5, "6:00"), weekly("FR", "6:30")], false),
            (vec![every(7, "6:00"), weekly("FR", "6:30")], true),
            (vec![every(7, "6:00"), weekly("MO", "6:30")], false),
            (vec![every(14, "23:30"), weekly("TU", "0:00")], false),
        ];
        for (patterns, is_allowed) in table {
            let given: Vec<&str> = patterns.iter().map(String::as_str).collect();
            assert_eq!(schedule(&given).is_ok(), is_allowed, "{patterns:?}");
        }
        let error = schedule(&[&every(2, "6:00"), &every(3, "6:30")]).unwrap_err();
        assert!(error.reason.contains("INTERVAL=2") && error.reason.contains("INTERVAL=3"));
    }

    /// Contract B.9: the rule that walks through no calendar says the same as a calendar does.
    #[test]
    fn runs_are_too_close_exactly_where_the_calendar_says_so() {
        let random = SeededRandom::new(0x0913);
        let pattern = || {
            let [kind, days, hour, minute] = random.bytes::<4>();
            let time = format!(
                "BYHOUR={};BYMINUTE={}",
                [0, 1, 22, 23][usize::from(hour % 4)],
                minute % 60
            );
            if kind % 2 == 0 {
                return format!("FREQ=DAILY;INTERVAL={};{time}", days % 6 + 1);
            }
            let day = |i: usize| super::super::pattern::DAYS[i];
            let chosen: Vec<&str> = (0..7).filter(|i| days & (1 << i) != 0).map(day).collect();
            let chosen = if chosen.is_empty() { "WE".to_owned() } else { chosen.join(",") };
            format!("FREQ=WEEKLY;BYDAY={chosen};{time}")
        };
        let (mut refused, mut allowed) = (0, 0);
        for _ in 0..400 {
            let texts = [pattern(), pattern()];
            let parsed = texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
            let calendar =
                Schedule { patterns: parsed, start: MONDAY, zone: PolicyZone::default() };
            let first = calendar.day_of(MONDAY);
            // Twice the period of all days and weeks.
            let runs: Vec<i64> = (0..2 * 420)
                .flat_map(|day| {
                    calendar.minutes_on(first + day).into_iter().map(move |m| day * 1440 + m)
                })
                .collect();
            let is_close = runs.windows(2).any(|pair| pair[1] - pair[0] < GAP_MIN_MINUTES);
            let given: Vec<&str> = texts.iter().map(String::as_str).collect();
            assert_eq!(schedule(&given).is_err(), is_close, "{texts:?}");
            *(if is_close { &mut refused } else { &mut allowed }) += 1;
        }
        assert!(refused > 40 && allowed > 40, "{refused} refused, {allowed} allowed");
    }

    /// Contract B.9: at most 24 patterns; every full hour is possible.
    #[test]
    fn a_policy_has_one_to_24_patterns() {
        let each: Vec<String> = (0..24).map(|hour| daily(1, &hour.to_string())).collect();
        let mut given: Vec<&str> = each.iter().map(String::as_str).collect();
        assert_eq!(hours(&schedule(&given).unwrap(), MONDAY, 3), [11, 12, 13]);
        given.push("FREQ=DAILY;BYHOUR=0;BYMINUTE=30");
        assert!(schedule(&given).unwrap_err().reason.starts_with("1 to 24"));
        assert!(schedule(&[]).is_err());
        assert_eq!(schedule(&["FREQ=ODD"]).unwrap_err().field, "pattern");
    }

    /// The runs against a reading of the patterns that looks at every minute.
    #[test]
    fn the_runs_are_all_minutes_that_fit_a_pattern_and_no_others() {
        let cases: [&[&str]; 4] = [
            &["FREQ=DAILY;INTERVAL=3;BYHOUR=2,10,22;BYMINUTE=30"],
            &["FREQ=WEEKLY;BYDAY=SU,MO;BYHOUR=0,23;BYMINUTE=15"],
            &["FREQ=DAILY;INTERVAL=30;BYHOUR=9;BYMINUTE=59"],
            &[
                "FREQ=WEEKLY;BYDAY=TU,TH,SA;BYHOUR=4,16;BYMINUTE=00",
                "FREQ=DAILY;INTERVAL=5;BYHOUR=6;BYMINUTE=05",
            ],
        ];
        let fits = |pattern: &str, at: Timestamp| {
            let get = |key: &str| {
                pattern.split(';').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
            };
            let minutes = at.0 / MINUTE;
            let (day, hour, minute) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
            let list = |key: &str, wanted: i64| {
                get(key).unwrap().split(',').any(|text| text.parse() == Ok(wanted))
            };
            // Day 0 was a Thursday.
            let weekday =
                ["TH", "FR", "SA", "SU", "MO", "TU", "WE"][usize::try_from(day % 7).unwrap()];
            let is_day = match (get("BYDAY"), get("INTERVAL")) {
                (Some(days), _) => days.split(',').any(|text| text == weekday),
                (None, interval) => {
                    let interval: i64 = interval.unwrap().parse().unwrap();
                    (day - MONDAY.0 / MINUTE / 1440) % interval == 0
                }
            };
            is_day && list("BYHOUR", hour) && list("BYMINUTE", minute)
        };
        for patterns in cases {
            let expected: Vec<Timestamp> = (1..90 * 1440)
                .map(|minute| Timestamp(MONDAY.0 + minute * MINUTE))
                .filter(|at| patterns.iter().any(|pattern| fits(pattern, *at)))
                .collect();
            assert!(expected.len() >= 2);
            let runs = schedule(patterns).unwrap().upcoming(MONDAY, expected.len());
            assert_eq!(runs, expected, "{patterns:?}");
        }
    }

    /// POL-19, POL-20, POL-21, Z-20.
    #[test]
    fn full_backups_keep_a_day_between_them() {
        let table: [(&[&str], u32, Result<(), usize>); 6] = [
            (&["FREQ=DAILY;BYHOUR=2;BYMINUTE=0"], 0, Ok(())),
            (&["FREQ=DAILY;BYHOUR=2,14;BYMINUTE=0"], 0, Err(2)),
            (&["FREQ=DAILY;BYHOUR=2,14;BYMINUTE=0"], 1, Ok(())),
            (&["FREQ=DAILY;BYHOUR=1,2,3,4;BYMINUTE=0"], 2, Err(4)),
            // Monday evening and Tuesday morning are less than a day apart.
            (
                &[
                    "FREQ=WEEKLY;BYDAY=MO;BYHOUR=20;BYMINUTE=0",
                    "FREQ=WEEKLY;BYDAY=TU;BYHOUR=6;BYMINUTE=0",
                ],
                0,
                Err(2),
            ),
            // The days of both meet only every 28 days.
            (
                &[
                    "FREQ=WEEKLY;BYDAY=TU;BYHOUR=6;BYMINUTE=0",
                    "FREQ=DAILY;INTERVAL=4;BYHOUR=20;BYMINUTE=0",
                ],
                0,
                Err(2),
            ),
        ];
        for (patterns, interval, expected) in table {
            let schedule = schedule(patterns).unwrap();
            assert_eq!(schedule.check_full_interval(interval), expected, "{patterns:?}");
        }
    }

    /// POL-10, P16: by the clocks of the policy's zone; when they are set, nothing runs twice and
    /// nothing is lost, and two that fall together are one.
    #[test]
    fn times_are_those_of_the_zone_also_when_its_clocks_are_set() {
        let at = |text: &str| {
            let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
            Timestamp(time.and_utc().timestamp_micros())
        };
        let runs = |patterns: &[&str], after: &str, count: usize| {
            let trigger = trigger(patterns, "Europe/Berlin".parse().unwrap());
            Schedule::new(&trigger, at("2026-01-01 00:00")).unwrap().upcoming(at(after), count)
        };
        let forward = runs(&[&daily(1, "2")], "2026-03-27 12:00", 3);
        let expected = ["2026-03-28 01:00", "2026-03-29 01:00", "2026-03-30 00:00"].map(at);
        assert_eq!(forward, expected, "02:00 does not come on the 29th: it is 03:00 then");
        let back = runs(&[&daily(1, "2")], "2026-10-24 12:00", 2);
        assert_eq!(back, ["2026-10-25 00:00", "2026-10-26 01:00"].map(at), "the first of two");
        // 02:30 is 03:30 then, after 03:15; and where 02:00 and 03:00 are both asked for, they are one.
        let order = ["FREQ=DAILY;BYHOUR=2;BYMINUTE=0", "FREQ=DAILY;BYHOUR=3;BYMINUTE=15"];
        let sorted = runs(&order, "2026-03-29 00:30", 2);
        assert_eq!(sorted, ["2026-03-29 01:00", "2026-03-29 01:15"].map(at));
        let together = runs(&[&daily(1, "2,3")], "2026-03-28 23:30", 2);
        assert_eq!(together, ["2026-03-29 01:00", "2026-03-30 00:00"].map(at));
        // The day of creation is the zone's: 23:30 UTC on 31 December is the 1st there.
        let trigger = trigger(&[&daily(3, "2")], "Europe/Berlin".parse().unwrap());
        let third = Schedule::new(&trigger, at("2025-12-31 23:30")).unwrap();
        let two = third.upcoming(at("2025-12-31 23:30"), 2);
        assert_eq!(two, ["2026-01-01 01:00", "2026-01-04 01:00"].map(at));
    }

    /// P24: no instant makes it run on for ever or fail.
    #[test]
    fn the_end_of_time_has_no_next_run() {
        let schedule = schedule(&[&daily(30, "2")]).unwrap();
        assert_eq!(schedule.next(Timestamp(i64::MAX)), None);
        assert!(schedule.next(Timestamp(i64::MIN)).is_some());
    }
}
