//! The canonical form of a request (contract A.2, steps 2 to 6). Pure.

use std::fmt::Write as _;

use axum::http::HeaderMap;

use super::Refusal;
use crate::percent::decode;

/// The path: decoded as a whole, split at `/`, each piece encoded, a `/` at the end.
///
/// An encoded slash becomes a separator by this; that is what the clients sign.
pub(super) fn path(raw: &str) -> String {
    let decoded = decode(raw, false);
    let mut text: String =
        decoded.split(|byte| *byte == b'/').map(encode).collect::<Vec<_>>().join("/");
    if !text.ends_with('/') {
        text.push('/');
    }
    text
}

/// The query: pairs sorted by decoded key, then by decoded value, both sides encoded.
pub(super) fn query(raw: &str) -> String {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        })
        .collect();
    pairs.sort();
    let texts: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    texts.join("&")
}

/// One line per value of each signed header, in the client's order of names.
///
/// `authority` stands in for `host` where HTTP/2 has no such header.
pub(super) fn headers(
    names: &[String],
    headers: &HeaderMap,
    authority: Option<&str>,
) -> Result<Vec<u8>, Refusal> {
    let mut lines = Vec::new();
    for name in names {
        let mut values: Vec<&[u8]> =
            headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
        if values.is_empty() && name == "host" {
            values.extend(authority.map(str::as_bytes));
        }
        if values.is_empty() {
            return Err(Refusal::HeaderMissing);
        }
        values.sort_unstable();
        for value in values {
            lines.extend_from_slice(name.as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value);
            lines.push(b'\n');
        }
    }
    Ok(lines)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract A.2 step 2: `%2F` inside a segment turns into a separator (E.5, number 6).
    #[test]
    fn paths_are_decoded_before_they_are_split() {
        assert_eq!(path("/v3/a%20b%2F%E4%B8%AD"), "/v3/a%20b/%E4%B8%AD/");
        assert_eq!(path("/v3/"), "/v3/");
        assert_eq!(path("/"), "/");
        assert_eq!(path("/v3/x%zz%2"), "/v3/x%25zz%252/");
    }

    /// Contract A.2 step 3.
    #[test]
    fn queries_are_sorted_by_decoded_key_then_value() {
        assert_eq!(query("b=2&a=2&a=1&c"), "a=1&a=2&b=2&c=");
        assert_eq!(query("name=a+b&x=%7e"), "name=a%20b&x=~");
        assert_eq!(query(""), "");
    }

    #[test]
    fn repeated_headers_give_one_sorted_line_each() {
        let mut map = HeaderMap::new();
        map.append("x-a", " 2 ".parse().unwrap());
        map.append("x-a", "1".parse().unwrap());
        let names = ["x-a".to_owned(), "host".to_owned()];
        assert_eq!(headers(&names, &map, Some("h")).unwrap(), b"x-a:1\nx-a:2\nhost:h\n");
        assert_eq!(headers(&names, &map, None), Err(Refusal::HeaderMissing));
    }
}
