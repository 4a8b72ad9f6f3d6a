//! Reading what the service answers.
//!
//! The commands show fields and pass everything else on as it came, so they read
//! answers by JSON pointers: a field that is absent or null is an empty text.

use serde_json::Value;

/// The text at a pointer: strings as they are, other scalars as JSON writes them.
pub(crate) fn text(thing: &Value, pointer: &str) -> String {
    match thing.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The whole number at a pointer, also when it comes as a string.
pub(crate) fn number(thing: &Value, pointer: &str) -> Option<u64> {
    match thing.pointer(pointer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The list at a pointer; empty when there is none.
pub(crate) fn items<'a>(thing: &'a Value, pointer: &str) -> &'a [Value] {
    thing.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A time for people: the contract's form with a blank and without fractions (UTC).
pub(crate) fn time(thing: &Value, pointer: &str) -> String {
    let text = text(thing, pointer);
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    whole.replacen('T', " ", 1)
}

/// Whether a text can be an id: a UUID with or without dashes.
pub(crate) fn looks_like_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = text.bytes().filter(|byte| *byte == b'-').count();
    digits == 32 && (dashes == 0 || dashes == 4) && text.len() == digits + dashes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_and_null_are_empty_and_numbers_may_come_as_text() {
        let thing = json!({"a": null, "b": {"c": "x"}, "n": 3, "s": "4", "t": "2026-01-15T08:10:00.000001"});
        assert_eq!(text(&thing, "/a"), "");
        assert_eq!(text(&thing, "/missing/deep"), "");
        assert_eq!(text(&thing, "/b/c"), "x");
        assert_eq!((number(&thing, "/n"), number(&thing, "/s")), (Some(3), Some(4)));
        assert_eq!(time(&thing, "/t"), "2026-01-15 08:10:00");
        assert!(items(&thing, "/b").is_empty());
    }

    #[test]
    fn names_are_not_taken_for_ids() {
        assert!(looks_like_id("a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01"));
        assert!(looks_like_id("0605767b5780d5762fc5c0118072a564"));
        assert!(!looks_like_id("vault-a"));
        assert!(!looks_like_id("0605767b5780d5762fc5c0118072a564x"));
    }
}
