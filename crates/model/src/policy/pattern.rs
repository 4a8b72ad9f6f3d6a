//! Trigger patterns: the subset of RFC 2445 recurrence rules that the contract has (B.9).
//!
//! ```text
//! FREQ=WEEKLY;BYDAY=<MO|TU|WE|TH|FR|SA|SU>[,…];BYHOUR=<0-23>[,…];BYMINUTE=<0-59>
//! FREQ=DAILY;INTERVAL=<1-30>;BYHOUR=<0-23>[,…];BYMINUTE=<0-59>
//! ```
//!
//! All times are UTC. The text is kept byte for byte: clients compare what they get with what
//! they sent, and read it with regular expressions.

/// The longest interval of a daily pattern, in days (POL-15).
pub const INTERVAL_MAX: i64 = 30;
/// The longest text of a pattern; all hours and all days fit several times.
const TEXT_MAX: usize = 256;

/// The contract's words for days, Monday first.
pub(super) const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// The number of Monday, 1970-01-05 being four days after day 0, a Thursday.
const THURSDAY: i64 = 3;

/// Why a text is no pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidPattern {
    /// Too long to be looked at.
    #[error("a pattern has at most {TEXT_MAX} characters")]
    Length,
    /// Something between two `;` that is no `KEY=value`.
    #[error("`{0}` is not of the form KEY=value")]
    NoPair(String),
    /// A key the grammar does not have.
    #[error("`{0}` is not one of FREQ, INTERVAL, BYDAY, BYHOUR and BYMINUTE")]
    UnknownKey(String),
    /// A key twice.
    #[error("{0} is there twice")]
    Repeated(&'static str),
    /// A key that is needed.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key that belongs to the other frequency.
    #[error("{key} does not go with FREQ={frequency}")]
    Misplaced {
        /// The key.
        key: &'static str,
        /// The frequency it was written with.
        frequency: &'static str,
    },
    /// A value out of its range.
    #[error("{key}={value}: {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What may be written.
        wanted: &'static str,
    },
}

/// On which days a pattern is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Days {
    /// On these days of the week: bit 0 is Monday.
    Weekly(u8),
    /// Every so many days, counted from the day of creation (POL-16).
    Daily(i64),
}

impl Days {
    /// After how many days it repeats.
    pub const fn period(self) -> i64 {
        match self {
            Self::Weekly(_) => 7,
            Self::Daily(interval) => interval,
        }
    }

    /// Which days of a period: remainders of day numbers. `first` is the day of creation.
    pub fn remainders(self, first: i64) -> Vec<i64> {
        match self {
            Self::Weekly(days) => {
                let is_due = |weekday: &i64| days & (1 << weekday) != 0;
                (0..7).filter(is_due).map(|weekday| (weekday - THURSDAY).rem_euclid(7)).collect()
            }
            Self::Daily(interval) => vec![first.rem_euclid(interval)],
        }
    }

    /// Whether it is due on `day` (days since 1970-01-01), if it was created on `first`.
    pub fn include(self, day: i64, first: i64) -> bool {
        match self {
            Self::Weekly(days) => days & (1 << (day + THURSDAY).rem_euclid(7)) != 0,
            Self::Daily(interval) => (day - first).rem_euclid(interval) == 0,
        }
    }
}

/// A pattern that keeps the grammar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    days: Days,
    hours: Vec<u8>,
    minute: u8,
}

impl Pattern {
    /// Reads a pattern. Keys may come in any order; case matters.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > TEXT_MAX {
            return Err(InvalidPattern::Length);
        }
        let mut parts = Parts::default();
        for pair in text.split(';') {
            parts.add(pair)?;
        }
        let days = match parts.frequency.ok_or(InvalidPattern::Missing("FREQ"))? {
            "WEEKLY" => {
                if parts.interval.is_some() {
                    let (key, frequency) = ("INTERVAL", "WEEKLY");
                    return Err(InvalidPattern::Misplaced { key, frequency });
                }
                Days::Weekly(weekdays(parts.days.ok_or(InvalidPattern::Missing("BYDAY"))?)?)
            }
            "DAILY" => {
                if parts.days.is_some() {
                    let (key, frequency) = ("BYDAY", "DAILY");
                    return Err(InvalidPattern::Misplaced { key, frequency });
                }
                Days::Daily(interval(parts.interval.unwrap_or("1"))?)
            }
            other => return Err(value("FREQ", other, "WEEKLY or DAILY")),
        };
        let hours = hours(parts.hours.ok_or(InvalidPattern::Missing("BYHOUR"))?)?;
        let minute = parts.minute.ok_or(InvalidPattern::Missing("BYMINUTE"))?;
        let minute = number(minute, 59)
            .and_then(|minute| u8::try_from(minute).ok())
            .ok_or_else(|| value("BYMINUTE", minute, "one minute, 0 to 59"))?;
        Ok(Self { days, hours, minute })
    }

    /// On which days it is due.
    pub const fn days(&self) -> Days {
        self.days
    }

    /// At which minutes of a day (UTC), earliest first.
    pub fn minutes(&self) -> impl Iterator<Item = i64> + '_ {
        self.hours.iter().map(|hour| i64::from(*hour) * 60 + i64::from(self.minute))
    }
}

#[derive(Default)]
struct Parts<'t> {
    frequency: Option<&'t str>,
    interval: Option<&'t str>,
    days: Option<&'t str>,
    hours: Option<&'t str>,
    minute: Option<&'t str>,
}

impl<'t> Parts<'t> {
    fn add(&mut self, pair: &'t str) -> Result<(), InvalidPattern> {
        let no_pair = || InvalidPattern::NoPair(shown(pair));
        let (key, value) = pair.split_once('=').ok_or_else(no_pair)?;
        let (key, place) = match key {
            "FREQ" => ("FREQ", &mut self.frequency),
            "INTERVAL" => ("INTERVAL", &mut self.interval),
            "BYDAY" => ("BYDAY", &mut self.days),
            "BYHOUR" => ("BYHOUR", &mut self.hours),
            "BYMINUTE" => ("BYMINUTE", &mut self.minute),
            other => return Err(InvalidPattern::UnknownKey(shown(other))),
        };
        if place.replace(value).is_some() {
            return Err(InvalidPattern::Repeated(key));
        }
        Ok(())
    }
}

fn weekdays(text: &str) -> Result<u8, InvalidPattern> {
    let wanted = "each of MO, TU, WE, TH, FR, SA, SU at most once";
    let mut days = 0;
    for word in text.split(',') {
        let at = DAYS.iter().position(|day| *day == word);
        let bit = 1 << at.ok_or_else(|| value("BYDAY", text, wanted))?;
        if days & bit != 0 {
            return Err(value("BYDAY", text, wanted));
        }
        days |= bit;
    }
    Ok(days)
}

fn interval(text: &str) -> Result<i64, InvalidPattern> {
    number(text, INTERVAL_MAX)
        .filter(|days| *days >= 1)
        .ok_or_else(|| value("INTERVAL", text, "1 to 30 days"))
}

fn hours(text: &str) -> Result<Vec<u8>, InvalidPattern> {
    let wanted = "different hours, each 0 to 23";
    let mut hours = Vec::new();
    for word in text.split(',') {
        let hour = number(word, 23).and_then(|hour| u8::try_from(hour).ok());
        let hour = hour.ok_or_else(|| value("BYHOUR", text, wanted))?;
        if hours.contains(&hour) {
            return Err(value("BYHOUR", text, wanted));
        }
        hours.push(hour);
    }
    hours.sort_unstable();
    Ok(hours)
}

/// One or two digits and nothing else.
fn number(text: &str, max: i64) -> Option<i64> {
    let is_short = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_short && *number <= max)
}

fn value(key: &'static str, value: &str, wanted: &'static str) -> InvalidPattern {
    InvalidPattern::Value { key, value: shown(value), wanted }
}

/// What of a stranger's text an error repeats.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract B.9: what clients send, the console's two forms and Terraform's digits among it.
    #[test]
    fn what_the_grammar_has_is_read() {
        let weekly = Pattern::parse("FREQ=WEEKLY;BYDAY=MO,SU;BYHOUR=14;BYMINUTE=00").unwrap();
        assert_eq!(weekly.days(), Days::Weekly(0b100_0001));
        assert_eq!(weekly.minutes().collect::<Vec<_>>(), [14 * 60]);
        let daily = Pattern::parse("FREQ=DAILY;INTERVAL=30;BYHOUR=06,0,23;BYMINUTE=59").unwrap();
        assert_eq!(daily.days(), Days::Daily(30));
        assert_eq!(daily.minutes().collect::<Vec<_>>(), [59, 6 * 60 + 59, 23 * 60 + 59]);
        let short = Pattern::parse("FREQ=DAILY;BYHOUR=6;BYMINUTE=0").unwrap();
        assert_eq!(short.days(), Days::Daily(1));
        assert!(Pattern::parse("BYMINUTE=0;BYHOUR=6;FREQ=DAILY").is_ok(), "any order");
    }

    /// Contract B.9, P24: nothing else is.
    #[test]
    fn what_the_grammar_does_not_have_is_refused_with_a_reason() {
        let table = [
            ("", "`` is not of the form"),
            ("FREQ=DAILY", "BYHOUR is missing"),
            ("BYHOUR=1;BYMINUTE=0", "FREQ is missing"),
            ("FREQ=DAILY;BYHOUR=1", "BYMINUTE is missing"),
            ("FREQ=WEEKLY;BYHOUR=1;BYMINUTE=0", "BYDAY is missing"),
            ("FREQ=MONTHLY;BYHOUR=1;BYMINUTE=0", "FREQ=MONTHLY: WEEKLY or DAILY"),
            ("freq=DAILY;BYHOUR=1;BYMINUTE=0", "`freq` is not one of"),
            ("FREQ=DAILY;BYHOUR=1;BYMINUTE=0;", "`` is not of the form"),
            ("FREQ=DAILY;BYHOUR=1;BYMINUTE=0;COUNT=3", "`COUNT` is not one of"),
            ("FREQ=DAILY;BYDAY=MO;BYHOUR=1;BYMINUTE=0", "BYDAY does not go with FREQ=DAILY"),
            ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;BYHOUR=1;BYMINUTE=0", "INTERVAL does not go with"),
            ("FREQ=DAILY;FREQ=DAILY;BYHOUR=1;BYMINUTE=0", "FREQ is there twice"),
            ("FREQ=DAILY;INTERVAL=0;BYHOUR=1;BYMINUTE=0", "INTERVAL=0: 1 to 30 days"),
            ("FREQ=DAILY;INTERVAL=31;BYHOUR=1;BYMINUTE=0", "INTERVAL=31"),
            ("FREQ=DAILY;INTERVAL=-1;BYHOUR=1;BYMINUTE=0", "INTERVAL=-1"),
            ("FREQ=DAILY;BYHOUR=24;BYMINUTE=0", "BYHOUR=24: different hours"),
            ("FREQ=DAILY;BYHOUR=1,1;BYMINUTE=0", "BYHOUR=1,1"),
            ("FREQ=DAILY;BYHOUR=001;BYMINUTE=0", "BYHOUR=001"),
            ("FREQ=DAILY;BYHOUR= 1;BYMINUTE=0", "BYHOUR= 1"),
            ("FREQ=DAILY;BYHOUR=1;BYMINUTE=60", "BYMINUTE=60: one minute"),
            ("FREQ=DAILY;BYHOUR=1;BYMINUTE=0,30", "BYMINUTE=0,30"),
            ("FREQ=WEEKLY;BYDAY=MO,MO;BYHOUR=1;BYMINUTE=0", "BYDAY=MO,MO"),
            ("FREQ=WEEKLY;BYDAY=;BYHOUR=1;BYMINUTE=0", "BYDAY=: each of"),
            ("FREQ=WEEKLY;BYDAY=1MO;BYHOUR=1;BYMINUTE=0", "BYDAY=1MO"),
        ];
        for (text, why) in table {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!(Pattern::parse(&"x".repeat(257)), Err(InvalidPattern::Length));
    }

    #[test]
    fn days_of_the_week_are_those_of_the_calendar() {
        // 2026-01-15, a Thursday, is day 20468.
        let thursday = Pattern::parse("FREQ=WEEKLY;BYDAY=TH;BYHOUR=1;BYMINUTE=0").unwrap();
        assert!(thursday.days().include(20_468, 0));
        assert!(!thursday.days().include(20_467, 0) && !thursday.days().include(20_469, 0));
        assert_eq!(thursday.days().remainders(0), [20_468 % 7]);
    }
}
