//! How long a policy keeps what it makes (RET-01 … RET-20): the checked form of the definition.
//!
//! One rule is the base: for ever, for some days, or the newest few. To "the newest few" the last
//! backups of some days, weeks, months and years may come (RET-05), and to any base but "for ever"
//! the backups of certain days for longer (contract `advanced_retention_rules`). Additions only
//! ever keep more.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta};

use super::InvalidPolicy;
use super::definition::{AdvancedRule, LONG_TERM_MAX, OperationDefinition, RETENTION_MAX, UNUSED};
use super::zone::UtcOffset;
use crate::Timestamp;

const DAY_SECONDS: i64 = 24 * 60 * 60;
const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const WEEKS: [&str; 5] = ["FIRST", "SECOND", "THIRD", "FOURTH", "LAST"];
const LAST_WEEK: usize = 4;
#[rustfmt::skip]
const MONTHS: [&str; 12] = [
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE",
    "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER",
];
/// The day of the month that means its last one.
const LAST_DAY: i64 = -1;

/// The one rule that is always there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// Nothing is removed by itself (RET-10).
    Forever,
    /// Each backup ends so many days after its creation (RET-02).
    Days(u32),
    /// The newest so many of each resource are kept (RET-03).
    Newest(u32),
}

/// A part of the calendar of which the last backup is kept (RET-05).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CalendarPeriod {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday (RET-09).
    Week,
    /// Of the calendar.
    Month,
    /// Of the calendar.
    Year,
}

/// How long the backups of a retention policy are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// The one rule that is always there.
    pub base: Base,
    /// Of how many days, weeks, months and years the last backup is kept; only those above zero.
    pub long_term: Vec<(CalendarPeriod, u32)>,
    /// Whose midnight ends a day.
    pub zone: UtcOffset,
    longer: Vec<Longer>,
}

/// Backups of certain days are kept for so many weeks, months or years.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Longer {
    unit: CalendarPeriod,
    periods: u32,
    days: DayRule,
    /// Bit 0 is January; weekly and monthly rules have all.
    months: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum DayRule {
    /// Bits: days from Monday, and which of the month's days of that name.
    Weekdays { days: u16, weeks: u16 },
    /// Days of the month.
    MonthDays(Vec<i64>),
}

const ALL_WEEKS: u16 = 0b1_1111;
const ALL_MONTHS: u16 = 0xfff;

impl Retention {
    /// What the definition says about keeping.
    pub fn read(definition: &OperationDefinition) -> Result<Self, InvalidPolicy> {
        let zone = definition.timezone.as_deref().map(str::parse::<UtcOffset>).transpose();
        let zone = zone.map_err(|why| InvalidPolicy::new("timezone", why))?;
        let base = base(definition)?;
        let long_term = long_term(definition)?;
        if let Some((_, field)) = long_term.first() {
            if !matches!(base, Base::Newest(_)) {
                let reason = "it adds to a number of backups: set max_backups as well, and no \
                              retention_duration_days";
                return Err(InvalidPolicy::new(field, reason));
            }
            if zone.is_none() {
                let reason =
                    format!("{field} needs it, written as UTC+08:00, to know where a day ends");
                return Err(InvalidPolicy::new("timezone", reason));
            }
        }
        let longer = longer(definition)?;
        if !longer.is_empty() && base == Base::Forever {
            let reason = "they keep longer what is not kept for ever: set max_backups or \
                          retention_duration_days as well";
            return Err(InvalidPolicy::new("advanced_retention_rules", reason));
        }
        let long_term = long_term.into_iter().map(|(rule, _)| rule).collect();
        Ok(Self { base, long_term, zone: zone.unwrap_or_default(), longer })
    }

    /// When a backup made at `created` ends, fixed at that time (RET-20); none: not by time.
    pub fn expires_at(&self, created: Timestamp) -> Option<Timestamp> {
        let Base::Days(days) = self.base else { return None };
        let end = created.plus_seconds(i64::from(days) * DAY_SECONDS);
        Some(self.kept_longer_until(created).map_or(end, |longer| longer.max(end)))
    }

    /// Whether there are rules that keep backups of certain days longer.
    pub const fn has_rules_for_days(&self) -> bool {
        !self.longer.is_empty()
    }

    /// Until when the rules for certain days keep a backup made at `created`; none: they do not.
    pub fn kept_longer_until(&self, created: Timestamp) -> Option<Timestamp> {
        let date = local(created, self.zone)?.date();
        let fitting = self.longer.iter().filter(|rule| rule.includes(date));
        fitting.map(|rule| rule.end(created, self.zone)).max()
    }

    /// Which of all days, weeks, months or years `at` lies in: later ones have larger numbers.
    pub fn period_of(&self, at: Timestamp, unit: CalendarPeriod) -> i64 {
        let day = self.zone.local_seconds(at).div_euclid(DAY_SECONDS);
        let date = local(at, self.zone).map(|local| local.date()).unwrap_or_default();
        match unit {
            CalendarPeriod::Day => day,
            // Day 0 was a Thursday.
            CalendarPeriod::Week => (day + 3).div_euclid(7),
            CalendarPeriod::Month => i64::from(date.year()) * 12 + i64::from(date.month0()),
            CalendarPeriod::Year => i64::from(date.year()),
        }
    }
}

impl Longer {
    fn includes(&self, date: NaiveDate) -> bool {
        if self.months & (1 << date.month0()) == 0 {
            return false;
        }
        let is_last = |days| (date + TimeDelta::days(days)).month() != date.month();
        match &self.days {
            DayRule::Weekdays { days, weeks } => {
                let is_week = weeks & (1 << (date.day0() / 7)) != 0;
                days & (1 << date.weekday().num_days_from_monday()) != 0
                    && (is_week || weeks & (1 << LAST_WEEK) != 0 && is_last(7))
            }
            DayRule::MonthDays(days) => {
                days.contains(&i64::from(date.day())) || days.contains(&LAST_DAY) && is_last(1)
            }
        }
    }

    fn end(&self, created: Timestamp, zone: UtcOffset) -> Timestamp {
        match self.unit {
            CalendarPeriod::Day => created.plus_seconds(i64::from(self.periods) * DAY_SECONDS),
            CalendarPeriod::Week => created.plus_seconds(i64::from(self.periods) * 7 * DAY_SECONDS),
            CalendarPeriod::Month => plus_months(created, self.periods, zone),
            CalendarPeriod::Year => plus_months(created, self.periods.saturating_mul(12), zone),
        }
    }
}

/// The same time of day `months` later; a day the month does not have is its last one (RET-19).
pub fn plus_months(at: Timestamp, months: u32, zone: UtcOffset) -> Timestamp {
    let moved = || {
        let before = local(at, zone)?;
        let after = before.checked_add_months(Months::new(months))?;
        Some(at.plus_seconds((after - before).num_seconds()))
    };
    moved().unwrap_or(Timestamp(i64::MAX))
}

/// What a clock in the zone shows; none beyond the calendar.
fn local(at: Timestamp, zone: UtcOffset) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(zone.local_seconds(at), 0).map(|local| local.naive_utc())
}

fn base(definition: &OperationDefinition) -> Result<Base, InvalidPolicy> {
    let read = |field, value: Option<i64>| match value {
        None | Some(UNUSED | 0) => Ok(None),
        Some(number) => {
            u32::try_from(number).ok().filter(|_| number <= RETENTION_MAX).map(Some).ok_or_else(
                || {
                    let reason = format!("{number} is neither 1 to {RETENTION_MAX} nor {UNUSED}");
                    InvalidPolicy::new(field, reason)
                },
            )
        }
    };
    let count = read("max_backups", definition.max_backups)?;
    let days = read("retention_duration_days", definition.retention_duration_days)?;
    match (count, days) {
        (None, None) => Ok(Base::Forever),
        (Some(count), None) => Ok(Base::Newest(count)),
        (None, Some(days)) => Ok(Base::Days(days)),
        (Some(_), Some(_)) => {
            let reason = "keep by number or by time: leave one of max_backups and \
                          retention_duration_days at -1";
            Err(InvalidPolicy::new("retention_duration_days", reason))
        }
    }
}

type LongTermRule = ((CalendarPeriod, u32), &'static str);

fn long_term(definition: &OperationDefinition) -> Result<Vec<LongTermRule>, InvalidPolicy> {
    let all = [
        (CalendarPeriod::Day, "day_backups", definition.day_backups),
        (CalendarPeriod::Week, "week_backups", definition.week_backups),
        (CalendarPeriod::Month, "month_backups", definition.month_backups),
        (CalendarPeriod::Year, "year_backups", definition.year_backups),
    ];
    let mut rules = Vec::new();
    for (unit, field, value) in all {
        let number = value.unwrap_or(0);
        let number =
            u32::try_from(number).ok().filter(|_| number <= LONG_TERM_MAX).ok_or_else(|| {
                InvalidPolicy::new(field, format!("{number} is not 0 to {LONG_TERM_MAX}"))
            })?;
        if number > 0 {
            rules.push(((unit, number), field));
        }
    }
    Ok(rules)
}

fn longer(definition: &OperationDefinition) -> Result<Vec<Longer>, InvalidPolicy> {
    let Some(rules) = &definition.advanced_retention_rules else { return Ok(Vec::new()) };
    let all = [
        (CalendarPeriod::Week, "weekly_retention_rules", 5_200, &rules.weekly_retention_rules),
        (CalendarPeriod::Month, "monthly_retention_rules", 1_200, &rules.monthly_retention_rules),
        (CalendarPeriod::Year, "yearly_retention_rules", 100, &rules.yearly_retention_rules),
    ];
    let mut read = Vec::new();
    for (unit, field, max, rule) in all {
        let Some(rule) = rule else { continue };
        let reader = RuleReader { field, unit, rule };
        read.extend(reader.read(max)?);
    }
    Ok(read)
}

/// Reads one of the advanced rules.
struct RuleReader<'r> {
    field: &'static str,
    unit: CalendarPeriod,
    rule: &'r AdvancedRule,
}

impl RuleReader<'_> {
    /// `None` when it is switched off; what is off is checked as well.
    fn read(&self, max: i64) -> Result<Option<Longer>, InvalidPolicy> {
        let rule = self.rule;
        let periods = rule.retention_duration_periods.unwrap_or(UNUSED);
        if !(UNUSED..=max).contains(&periods) {
            return Err(self.refused(format!("{periods} periods are not {UNUSED} to {max}")));
        }
        let weekdays = self.bits("days_of_week", rule.days_of_week.as_ref(), &WEEKDAYS)?;
        let weeks = self.bits("retention_weeks", rule.retention_weeks.as_ref(), &WEEKS)?;
        let months = self.bits("retention_months", rule.retention_months.as_ref(), &MONTHS)?;
        let month_days = self.month_days()?;
        let Ok(periods) = u32::try_from(periods) else { return Ok(None) };
        if periods == 0 {
            return Ok(None);
        }
        let days = match (self.unit, rule.retention_type.as_deref()) {
            (CalendarPeriod::Week, None | Some("WEEKLY")) => {
                DayRule::Weekdays { days: self.some("days_of_week", weekdays)?, weeks: ALL_WEEKS }
            }
            (CalendarPeriod::Week, Some(_)) => {
                return Err(self.refused("it goes by days of the week"));
            }
            (_, Some("WEEKLY")) => DayRule::Weekdays {
                days: self.some("days_of_week", weekdays)?,
                weeks: self.some("retention_weeks", weeks)?,
            },
            (_, Some("MONTHLY")) if month_days.is_empty() => {
                return Err(self.refused("days_of_month is needed"));
            }
            (_, Some("MONTHLY")) => DayRule::MonthDays(month_days),
            _ => return Err(self.refused("retention_type is WEEKLY or MONTHLY")),
        };
        let months = match self.unit {
            CalendarPeriod::Year => self.some("retention_months", months)?,
            _ => ALL_MONTHS,
        };
        Ok(Some(Longer { unit: self.unit, periods, days, months }))
    }

    /// A bit for each of the words; none of them, no word twice, or a word that is not known.
    fn bits(
        &self,
        key: &str,
        given: Option<&Vec<String>>,
        words: &[&str],
    ) -> Result<u16, InvalidPolicy> {
        let mut bits = 0;
        for text in given.into_iter().flatten() {
            let at = words.iter().position(|word| word == text);
            let bit =
                1 << at.ok_or_else(|| self.refused(format!("{key}: {}", words.join(", "))))?;
            if bits & bit != 0 {
                return Err(self.refused(format!("{key}: {text} is there twice")));
            }
            bits |= bit;
        }
        Ok(bits)
    }

    fn month_days(&self) -> Result<Vec<i64>, InvalidPolicy> {
        let mut days: Vec<i64> = Vec::new();
        for day in self.rule.days_of_month.iter().flatten() {
            if !(1..=28).contains(day) && *day != LAST_DAY {
                return Err(self.refused(format!("days_of_month: {day} is neither 1 to 28 nor -1")));
            }
            if days.contains(day) {
                return Err(self.refused(format!("days_of_month: {day} is there twice")));
            }
            days.push(*day);
        }
        Ok(days)
    }

    fn some(&self, key: &str, bits: u16) -> Result<u16, InvalidPolicy> {
        if bits == 0 { Err(self.refused(format!("{key} is needed"))) } else { Ok(bits) }
    }

    fn refused(&self, reason: impl ToString) -> InvalidPolicy {
        InvalidPolicy::new(self.field, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Retention, InvalidPolicy> {
        Retention::read(&serde_json::from_str(json).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        Timestamp(time.and_utc().timestamp_micros())
    }

    /// RET-01, RET-02, RET-03, RET-04, RET-05, RET-10, Y.4, contract C40.
    #[test]
    fn a_definition_has_one_base_and_additions_that_fit_it() {
        let table = [
            ("{}", Ok(Base::Forever)),
            (r#"{"max_backups":-1,"retention_duration_days":-1}"#, Ok(Base::Forever)),
            (r#"{"max_backups":0,"day_backups":0}"#, Ok(Base::Forever)),
            (r#"{"max_backups":1}"#, Ok(Base::Newest(1))),
            (r#"{"max_backups":99999,"retention_duration_days":-1}"#, Ok(Base::Newest(99_999))),
            (r#"{"retention_duration_days":99999}"#, Ok(Base::Days(99_999))),
            (r#"{"max_backups":5,"year_backups":100,"timezone":"UTC+00:00"}"#, Ok(Base::Newest(5))),
            (r#"{"max_backups":100000}"#, Err("max_backups")),
            (r#"{"max_backups":-2}"#, Err("max_backups")),
            (r#"{"retention_duration_days":100000}"#, Err("retention_duration_days")),
            (r#"{"max_backups":5,"retention_duration_days":5}"#, Err("retention_duration_days")),
            (r#"{"max_backups":5,"day_backups":101,"timezone":"UTC+00:00"}"#, Err("day_backups")),
            (r#"{"max_backups":5,"day_backups":-1,"timezone":"UTC+00:00"}"#, Err("day_backups")),
            (r#"{"max_backups":5,"day_backups":5}"#, Err("timezone")),
            (r#"{"max_backups":5,"timezone":"Asia/Shanghai"}"#, Err("timezone")),
            (r#"{"week_backups":5,"timezone":"UTC+00:00"}"#, Err("week_backups")),
            (
                r#"{"retention_duration_days":9,"month_backups":5,"timezone":"UTC+00:00"}"#,
                Err("month_backups"),
            ),
        ];
        for (json, expected) in table {
            let got = read(json).map(|retention| retention.base).map_err(|error| error.field);
            assert_eq!(got, expected, "{json}");
        }
    }

    /// RET-02, RET-19, RET-20, RET-T16: days are days, months are the calendar's.
    #[test]
    fn times_end_after_days_and_months_of_the_calendar() {
        let days = read(r#"{"retention_duration_days":30}"#).unwrap();
        assert_eq!(days.expires_at(at("2024-08-06 02:00")), Some(at("2024-09-05 02:00")));
        let zone = UtcOffset::default();
        for (months, from, to) in [
            (1, "2024-08-06 02:00", "2024-09-06 02:00"),
            (3, "2024-08-09 02:00", "2024-11-09 02:00"),
            (1, "2024-01-31 02:00", "2024-02-29 02:00"),
            (1, "2023-01-31 02:00", "2023-02-28 02:00"),
        ] {
            assert_eq!(plus_months(at(from), months, zone), at(to));
        }
        // At 23:00 UTC it is the 1st of February in the east.
        let east = "UTC+08:00".parse().unwrap();
        assert_eq!(plus_months(at("2024-01-31 23:00"), 1, east), at("2024-02-29 23:00"));
        let year_later = at("2025-08-06 02:00");
        for json in ["{}", r#"{"retention_duration_days":99999}"#] {
            let end = read(json).unwrap().expires_at(at("2024-08-06 02:00"));
            assert!(end.is_none_or(|end| end > year_later), "{json}");
        }
        assert_eq!(plus_months(Timestamp(i64::MAX), 1, zone), Timestamp(i64::MAX));
    }

    /// RET-09: the zone decides about the day; weeks begin on Monday.
    #[test]
    fn days_weeks_months_and_years_are_those_of_the_zone() {
        use CalendarPeriod::{Day, Month, Week, Year};
        let json = r#"{"max_backups":1,"day_backups":1,"timezone":"UTC+08:00"}"#;
        let east = read(json).unwrap();
        // Sunday 2023-12-31 23:59 and Monday 2024-01-01 00:00 in the east.
        let (sunday, monday) = (at("2023-12-31 15:59"), at("2023-12-31 16:00"));
        for unit in [Day, Week, Month, Year] {
            assert_eq!(east.period_of(sunday, unit) + 1, east.period_of(monday, unit), "{unit:?}");
        }
        let utc = read(r#"{"max_backups":1}"#).unwrap();
        for unit in [Day, Week, Month, Year] {
            assert_eq!(utc.period_of(sunday, unit), utc.period_of(monday, unit), "{unit:?}");
        }
    }

    /// Contract `PolicyAdvancedRetentionRules`.
    #[test]
    fn backups_of_certain_days_are_kept_longer() {
        let rules = |rules: &str| {
            read(&format!(r#"{{"retention_duration_days":7,"advanced_retention_rules":{rules}}}"#))
        };
        let end = |json: &str, from: &str| rules(json).unwrap().expires_at(at(from)).unwrap();
        let weekly =
            r#"{"weekly_retention_rules":{"days_of_week":["SU"],"retention_duration_periods":4}}"#;
        // 2024-08-04 was a Sunday.
        assert_eq!(end(weekly, "2024-08-04 02:00"), at("2024-09-01 02:00"));
        assert_eq!(end(weekly, "2024-08-05 02:00"), at("2024-08-12 02:00"));
        let monthly = r#"{"monthly_retention_rules":{"retention_type":"MONTHLY","days_of_month":[1,-1],"retention_duration_periods":6}}"#;
        assert_eq!(end(monthly, "2024-08-01 02:00"), at("2025-02-01 02:00"));
        assert_eq!(end(monthly, "2024-08-31 02:00"), at("2025-02-28 02:00"));
        assert_eq!(end(monthly, "2024-08-30 02:00"), at("2024-09-06 02:00"));
        let yearly = r#"{"yearly_retention_rules":{"retention_type":"WEEKLY","days_of_week":["MO"],"retention_weeks":["FIRST","LAST"],"retention_months":["AUGUST"],"retention_duration_periods":2}}"#;
        assert_eq!(end(yearly, "2024-08-05 02:00"), at("2026-08-05 02:00"));
        assert_eq!(end(yearly, "2024-08-26 02:00"), at("2026-08-26 02:00"));
        assert_eq!(end(yearly, "2024-08-12 02:00"), at("2024-08-19 02:00"));
        assert_eq!(end(yearly, "2024-09-02 02:00"), at("2024-09-09 02:00"));
        let off = r#"{"yearly_retention_rules":{"retention_duration_periods":-1}}"#;
        assert_eq!(rules(off).unwrap().longer, []);
    }

    /// Contract `PolicyWeeklyRetentionRules` and its like: words, ranges, no word twice.
    #[test]
    fn advanced_rules_that_mean_nothing_are_refused() {
        for bad in [
            r#"{"weekly_retention_rules":{"retention_duration_periods":1}}"#,
            r#"{"weekly_retention_rules":{"days_of_week":["MO"],"retention_duration_periods":5201}}"#,
            r#"{"weekly_retention_rules":{"days_of_week":["MON"],"retention_duration_periods":-1}}"#,
            r#"{"weekly_retention_rules":{"days_of_week":["MO","MO"],"retention_duration_periods":1}}"#,
            r#"{"weekly_retention_rules":{"retention_type":"MONTHLY","days_of_week":["MO"],"retention_duration_periods":1}}"#,
            r#"{"monthly_retention_rules":{"days_of_month":[1],"retention_duration_periods":1}}"#,
            r#"{"monthly_retention_rules":{"retention_type":"MONTHLY","retention_duration_periods":1}}"#,
            r#"{"monthly_retention_rules":{"retention_type":"MONTHLY","days_of_month":[29],"retention_duration_periods":1}}"#,
            r#"{"monthly_retention_rules":{"retention_type":"MONTHLY","days_of_month":[0],"retention_duration_periods":1}}"#,
            r#"{"monthly_retention_rules":{"retention_type":"MONTHLY","days_of_month":[2,2],"retention_duration_periods":1}}"#,
            r#"{"monthly_retention_rules":{"retention_type":"WEEKLY","days_of_week":["MO"],"retention_duration_periods":1}}"#,
            r#"{"yearly_retention_rules":{"retention_type":"MONTHLY","days_of_month":[1],"retention_duration_periods":1}}"#,
            r#"{"yearly_retention_rules":{"retention_duration_periods":101}}"#,
        ] {
            let json = format!(r#"{{"max_backups":7,"advanced_retention_rules":{bad}}}"#);
            let error = read(&json).unwrap_err();
            assert!(error.field.ends_with("ly_retention_rules"), "{bad}: {error}");
        }
        let forever = r#"{"advanced_retention_rules":{"weekly_retention_rules":{"days_of_week":["MO"],"retention_duration_periods":1}}}"#;
        assert_eq!(read(forever).unwrap_err().field, "advanced_retention_rules");
    }
}
