//! Signed requests (P27): no input breaks the canonical form, and nothing passes with another secret.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use cbr_api::auth::signature::{Limits, RequestText, Signed};
use cbr_env::Timestamp;

/// 2020-02-24T09:36:00Z, as in the seeds.
const NOW: Timestamp = Timestamp(1_582_536_960_000_000);

/// Lines: method, path, query, headers up to an empty line, body.
pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let mut next = || lines.next().unwrap_or_default();
    let (method, path, query) = (next(), next(), next());
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = HeaderName::try_from(name.trim());
        let value = HeaderValue::try_from(value.trim());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let Some(Ok(signed)) = Signed::parse(&headers) else { return };
    let body = body.as_bytes();
    let request =
        RequestText { method, path, query, headers: &headers, authority: Some("h"), body };
    for accepts_unsigned_payload in [false, true] {
        let limits = Limits { skew_seconds_max: 900, accepts_unsigned_payload };
        let verified = signed.verify(&request, b"a secret nobody signed with", NOW, limits);
        assert!(verified.is_err(), "a signature that nobody made was accepted");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let seed = |algorithm: &str, access: &str, query: &str| {
        format!(
            "GET\n/v3/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs%2Fa\n{query}\nhost: service.example.com\n\
             x-sdk-date: 20200224T093600Z\nx-sdk-content-sha256: UNSIGNED-PAYLOAD\n\
             authorization: {algorithm} {access}, SignedHeaders=host;x-sdk-content-sha256;x-sdk-date, \
             Signature={hash}\n\n{{\"a\": 1}}"
        )
        .into_bytes()
    };
    vec![
        seed("SDK-HMAC-SHA256", "Access=QTWAOYTTINDUT2QVKYUC", "limit=2&marker=13551d6b-755d"),
        seed("V11-HMAC-SHA256", "Credential=AK/20200224/local-1/cbr", "a=%7e&b=+&a"),
    ]
}
