//! At which times of the day somebody is told (MON-07).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::policy::zone::UtcOffset;

const DAY_MINUTES: i64 = 24 * 60;

/// From which minute of the day to which one somebody is told; over midnight if the end is before
/// the beginning. The minute of the end belongs to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Window {
    begin: u16,
    end: u16,
    /// Where that day is, as it was written.
    zone: String,
}

/// Text that is no time of the day or no zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWindow(&'static str);

impl Default for Window {
    fn default() -> Self {
        Self { begin: 0, end: 23 * 60 + 59, zone: "UTC+00:00".to_owned() }
    }
}

impl Window {
    /// From `begin` to `end`, written as `08:00`, in a zone written as `GMT+08:00` or `UTC+08:00`.
    /// What is not said is the beginning of the day, its end, and UTC.
    pub fn new(
        begin: Option<&str>,
        end: Option<&str>,
        zone: Option<&str>,
    ) -> Result<Self, InvalidWindow> {
        let whole = Self::default();
        let zone = zone.unwrap_or(&whole.zone).to_owned();
        offset(&zone)?;
        Ok(Self {
            begin: begin.map_or(Ok(whole.begin), minute)?,
            end: end.map_or(Ok(whole.end), minute)?,
            zone,
        })
    }

    /// Whether somebody is told at this time.
    pub fn contains(&self, at: Timestamp) -> bool {
        // A zone that was accepted is one.
        let zone = offset(&self.zone).unwrap_or_default();
        let minute = zone.local_seconds(at).div_euclid(60).rem_euclid(DAY_MINUTES);
        let (begin, end) = (i64::from(self.begin), i64::from(self.end));
        if begin <= end {
            (begin..=end).contains(&minute)
        } else {
            minute >= begin || minute <= end
        }
    }

    /// Its beginning, as `08:00`.
    pub fn begin(&self) -> String {
        clock(self.begin)
    }

    /// Its end, as `20:00`.
    pub fn end(&self) -> String {
        clock(self.end)
    }

    /// Its zone as it was written.
    pub fn zone(&self) -> &str {
        &self.zone
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} {}", self.begin(), self.end(), self.zone)
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn minute(text: &str) -> Result<u16, InvalidWindow> {
    let bad = InvalidWindow("write a time of the day as 08:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(|| bad.clone())?;
    let number = |text: &str, limit: u16| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u16>().ok().filter(|number| is_plain && *number < limit);
        number.ok_or_else(|| bad.clone())
    };
    Ok::<u16, InvalidWindow>(number(hours, 24)? * 60 + number(minutes, 60)?)
}

fn offset(zone: &str) -> Result<UtcOffset, InvalidWindow> {
    let rest = zone.strip_prefix("GMT").or_else(|| zone.strip_prefix("UTC"));
    let read = rest.and_then(|rest| UtcOffset::from_str(&format!("UTC{rest}")).ok());
    read.ok_or(InvalidWindow("write the zone as GMT+08:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let minutes = minute(text).unwrap();
        Timestamp(0).plus_seconds(1_000 * 86_400 + i64::from(minutes) * 60 + 59)
    }

    /// MON-07: with 00:00 to 08:00 somebody is told in that time only.
    #[test]
    fn nobody_is_told_outside_the_window() {
        let window = |begin, end, zone| Window::new(Some(begin), Some(end), Some(zone)).unwrap();
        let night = window("00:00", "08:00", "GMT+00:00");
        assert!(night.contains(at("00:00")) && night.contains(at("08:00")));
        assert!(!night.contains(at("08:01")) && !night.contains(at("23:59")));
        // 00:00 to 08:00 in Shanghai is 16:00 to 24:00 in UTC.
        let night = window("00:00", "08:00", "GMT+08:00");
        assert!(night.contains(at("16:00")) && night.contains(at("00:00")));
        assert!(!night.contains(at("15:59")) && !night.contains(at("00:01")));
        let over_midnight = window("22:00", "06:00", "UTC+00:00");
        for (time, is_told) in
            [("21:59", false), ("22:00", true), ("06:00", true), ("06:01", false)]
        {
            assert_eq!(over_midnight.contains(at(time)), is_told, "{time}");
        }
        let always = Window::new(None, None, None).unwrap();
        assert!(always.contains(at("00:00")) && always.contains(at("23:59")));
        assert_eq!(always.to_string(), "00:00-23:59 UTC+00:00");
    }

    #[test]
    fn what_is_no_time_and_no_zone_is_refused() {
        for (begin, end, zone) in [
            ("8:00", "09:00", "GMT+08:00"),
            ("24:00", "09:00", "GMT+08:00"),
            ("08:00", "09:60", "GMT+08:00"),
            ("08:00", "0900", "GMT+08:00"),
            ("08:00", "09:00", "Asia"),
            ("08:00", "09:00", "GMT+8"),
        ] {
            Window::new(Some(begin), Some(end), Some(zone)).unwrap_err();
        }
    }
}
