//! Instants on the wire (contract A.6): out without a zone and with six
//! decimals, in as `2020-02-21T07:00:54Z`; signatures use `20200221T070054Z`.

use cbr_model::Timestamp;
use chrono::{DateTime, NaiveDateTime};

/// `2020-02-21T07:00:54.065135`, as the SDKs parse it.
pub(crate) fn format(at: Timestamp) -> String {
    render(at, "%Y-%m-%dT%H:%M:%S%.6f")
}

/// `2020-01-04T09:05:22.701000Z`, as Keystone writes it.
pub(crate) fn format_zulu(at: Timestamp) -> String {
    render(at, "%Y-%m-%dT%H:%M:%S%.6fZ")
}

/// `2019-05-08 06:57:05`, as a policy's `start_time` is written.
pub(crate) fn format_blank(at: Timestamp) -> String {
    render(at, "%Y-%m-%d %H:%M:%S")
}

/// Reads `2020-02-21T07:00:54Z`; a fraction, and the absence of the `Z`, are accepted too.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bare = text.strip_suffix('Z').unwrap_or(text);
    NaiveDateTime::parse_from_str(bare, "%Y-%m-%dT%H:%M:%S%.f")
        .ok()
        .map(|at| Timestamp(at.and_utc().timestamp_micros()))
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

fn render(at: Timestamp, pattern: &str) -> String {
    // Beyond the calendar the bounds are shown: a time must never fail an answer.
    let time = DateTime::from_timestamp_micros(at.0).unwrap_or(if at.0 < 0 {
        DateTime::<chrono::Utc>::MIN_UTC
    } else {
        DateTime::<chrono::Utc>::MAX_UTC
    });
    time.format(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
