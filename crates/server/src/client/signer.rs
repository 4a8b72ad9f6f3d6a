//! Signing requests: `SDK-HMAC-SHA256` (contract A.2).
//!
//! Pure: everything that enters the signature is an argument. Tested with the
//! vectors that the service's own verification is tested with.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};

/// The name of the algorithm, as the header and the signed text begin.
const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// A request as far as the signature is concerned.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The method, in capitals.
    pub(crate) method: &'a str,
    /// The path as it is sent, percent-encoded.
    pub(crate) path: &'a str,
    /// The query's pairs, not encoded.
    pub(crate) query: &'a [(String, String)],
    /// The headers to be signed: lower-case names in alphabetical order, with their values.
    pub(crate) headers: &'a [(String, String)],
    /// The time of signing: `YYYYMMDDTHHMMSSZ`, as `X-Sdk-Date` says too.
    pub(crate) date: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
}

/// The value of the `Authorization` header.
pub(crate) fn authorization(request: &Request<'_>, access_key: &str, secret_key: &str) -> String {
    let canonical = canonical_request(request);
    let text =
        format!("{ALGORITHM}\n{}\n{}", request.date, hex::encode(sha256(canonical.as_bytes())));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret_key.as_bytes());
    let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
    let signed = signed_headers(request.headers);
    format!("{ALGORITHM} Access={access_key}, SignedHeaders={signed}, Signature={signature}")
}

fn canonical_request(request: &Request<'_>) -> String {
    let mut headers = String::new();
    for (name, value) in request.headers {
        headers.push_str(name);
        headers.push(':');
        headers.push_str(value.trim());
        headers.push('\n');
    }
    let payload = request
        .headers
        .iter()
        .find(|(name, _)| name == "x-sdk-content-sha256" && !request.body.is_empty())
        .map_or_else(|| hex::encode(sha256(request.body)), |(_, value)| value.clone());
    [
        request.method,
        &canonical_path(request.path),
        &query_string(request.query),
        &headers,
        &signed_headers(request.headers),
        &payload,
    ]
    .join("\n")
}

/// The query as it is signed and sent: sorted, and encoded in one way only.
pub(crate) fn query_string(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    let encoded: Vec<String> =
        sorted.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
    encoded.join("&")
}

/// A text as a path segment or part of a query: everything but `A-Z a-z 0-9 - _ . ~` becomes `%XX`.
pub(crate) fn encoded(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            result.push(char::from(byte));
        } else {
            write!(result, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    result
}

/// The whole path is decoded before it is split, so an encoded slash becomes a separator.
fn canonical_path(path: &str) -> String {
    let decoded = decoded(path);
    let mut segments: Vec<String> = decoded.split('/').map(encoded).collect();
    if segments.last().is_some_and(|last| !last.is_empty()) {
        segments.push(String::new());
    }
    segments.join("/")
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut result = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(value) = escaped {
            result.push(value);
            at += 3;
        } else {
            result.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&result).into_owned()
}

fn signed_headers(headers: &[(String, String)]) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.join(";")
}

fn sha256(data: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, data)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        method: String,
        ak: Option<String>,
        sk: Option<String>,
        request_uri: String,
        headers: BTreeMap<String, String>,
        body: String,
        canonical_request: Option<String>,
        authorization: String,
    }

    fn pairs(query: &str) -> Vec<(String, String)> {
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(key), decoded(value))
            })
            .collect()
    }

    /// Contract A.2: the vectors measured with the official clients.
    #[test]
    fn signatures_equal_those_of_the_official_clients() {
        let text = include_str!("../../tests/data/signing-vectors.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        let mut checked = 0;
        for vector in vectors {
            let Some(rest) = vector.authorization.strip_prefix("SDK-HMAC-SHA256 ") else {
                continue; // V7: an algorithm this client does not use.
            };
            let names = rest.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
            let value = |wanted: &str| {
                let found = vector.headers.iter().find(|(name, _)| name.to_lowercase() == wanted);
                found.unwrap().1.clone()
            };
            let headers: Vec<_> =
                names.split(';').map(|name| (name.to_owned(), value(name))).collect();
            let (path, query) =
                vector.request_uri.split_once('?').unwrap_or((&vector.request_uri, ""));
            let request = Request {
                method: &vector.method,
                path,
                query: &pairs(query),
                headers: &headers,
                date: &value("x-sdk-date"),
                body: vector.body.as_bytes(),
            };
            if let Some(expected) = &vector.canonical_request {
                assert_eq!(&canonical_request(&request), expected, "{}", vector.name);
            }
            let (ak, sk) = (vector.ak.as_deref(), vector.sk.as_deref());
            let authorization =
                authorization(&request, ak.unwrap_or("AccessKey"), sk.unwrap_or("SecretKey"));
            assert_eq!(authorization, vector.authorization, "{}", vector.name);
            checked += 1;
        }
        assert_eq!(checked, 8);
    }

    #[test]
    fn the_query_is_sent_exactly_as_it_is_signed() {
        let pairs = [("b", "2"), ("a", "x y"), ("a", "/")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!(query_string(&pairs), "a=%2F&a=x%20y&b=2");
    }

    #[test]
    fn a_broken_escape_is_taken_literally() {
        assert_eq!(decoded("a%2"), "a%2");
        assert_eq!(decoded("%zz%41"), "%zzA");
        assert_eq!(decoded("%中"), "%中");
    }
}
