//! Instants on the wire (contract A.6): out without a zone and with six
//! decimals, in as `2020-02-21T07:00:54Z`; signatures use `20200221T070054Z`.

use cbr_model::Timestamp;
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

/// `2020-02-21T07:00:54.065135`, as the SDKs parse it.
pub(crate) fn format(at: Timestamp) -> String {
    let mut text = format_zulu(at);
    text.pop();
    text
}

/// `2020-01-04T09:05:22.701000Z`, as Keystone writes it.
pub(crate) fn format_zulu(at: Timestamp) -> String {
    // Written by hand there; a pattern is read anew for every time, and there are thousands in a page.
    shown(at).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `2019-05-08 06:57:05`, as a policy's `start_time` is written.
pub(crate) fn format_blank(at: Timestamp) -> String {
    shown(at).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads `2020-02-21T07:00:54Z`; a fraction, and the absence of the `Z`, are accepted too.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bare = text.strip_suffix('Z').unwrap_or(text);
    NaiveDateTime::parse_from_str(bare, "%Y-%m-%dT%H:%M:%S%.f")
        .ok()
        .map(|at| Timestamp(at.and_utc().timestamp_micros()))
}

/// How many seconds `UTC+08:00` is ahead of UTC; what lies behind it is negative.
pub(crate) fn zone_seconds(text: &str) -> Option<i64> {
    let (sign, clock) = match text.strip_prefix("UTC")? {
        "" => return Some(0),
        rest => (rest.get(..1)?, rest.get(1..)?),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let number = |text: &str, most: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && (0..=most).contains(number))
    };
    let seconds = number(hours, 14)? * 3600 + number(minutes, 59)? * 60;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

/// The last second of the day `2026-12-31` where clocks are `zone` seconds ahead of UTC.
pub(crate) fn end_of_day(text: &str, zone: i64) -> Option<Timestamp> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    let end = day.and_hms_opt(23, 59, 59)?.and_utc().timestamp_micros();
    Some(Timestamp(end).plus_seconds(-zone))
}

/// Reads `20200221T070054Z`.
pub(crate) fn parse_compact(text: &str) -> Option<Timestamp> {
    // The parser alone would take signs and single digits.
    let is_digit_or_t = |(i, b): (usize, &u8)| if i == 8 { *b == b'T' } else { b.is_ascii_digit() };
    let bare = text.strip_suffix('Z').filter(|bare| bare.len() == 15)?;
    if !bare.as_bytes().iter().enumerate().all(is_digit_or_t) {
        return None;
    }
    NaiveDateTime::parse_from_str(bare, "%Y%m%dT%H%M%S")
        .ok()
        .map(|at| Timestamp(at.and_utc().timestamp_micros()))
}

/// Beyond the calendar the bounds are shown: a time must never fail an answer.
fn shown(at: Timestamp) -> DateTime<Utc> {
    let bound = if at.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_micros(at.0).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.6, C16.
    #[test]
    fn days_end_where_they_are() {
        let end = |day: &str, zone: &str| {
            zone_seconds(zone).and_then(|zone| end_of_day(day, zone)).map(format)
        };
        let table = [
            ("2026-12-31", "UTC+08:00", Some("2026-12-31T15:59:59.000000")),
            ("2026-12-31", "UTC-03:30", Some("2027-01-01T03:29:59.000000")),
            ("2024-02-29", "UTC", Some("2024-02-29T23:59:59.000000")),
            ("2025-02-29", "UTC+00:00", None),
            ("2025-2-28", "UTC+00:00", None),
            ("tomorrow", "UTC+00:00", None),
            ("2026-12-31", "UTC+8", None),
            ("2026-12-31", "UTC+15:00", None),
            ("2026-12-31", "UTC*08:00", None),
            ("2026-12-31", "UTC+-8:00", None),
            ("2026-12-31", "UTC\u{fc}08:00", None),
            ("2026-12-31", "Asia/Shanghai", None),
        ];
        for (day, zone, want) in table {
            assert_eq!(end(day, zone).as_deref(), want, "{day} {zone}");
        }
    }

    /// Contract A.6.
    #[test]
    fn instants_have_no_zone_and_six_decimals() {
        let at = parse("2020-02-21T07:00:54.065135").unwrap();
        assert_eq!(format(at), "2020-02-21T07:00:54.065135");
        assert_eq!(format(parse("2020-02-21T07:00:54Z").unwrap()), "2020-02-21T07:00:54.000000");
        assert_eq!(format_zulu(at), "2020-02-21T07:00:54.065135Z");
    }

    #[test]
    fn other_forms_are_not_times() {
        for bad in ["", "2020-02-21", "2020-02-21 07:00:54", "2020-02-30T00:00:00Z", "now"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_compact("20200224T093600Z"), parse("2020-02-24T09:36:00Z"));
        for bad in ["20200224T093600", "20200224 093600Z", "+0200224T093600Z", "20200224T0936000Z"]
        {
            assert_eq!(parse_compact(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_instant_is_beyond_rendering() {
        assert!(!format(Timestamp(i64::MIN)).is_empty());
        assert!(!format(Timestamp(i64::MAX)).is_empty());
    }
}
