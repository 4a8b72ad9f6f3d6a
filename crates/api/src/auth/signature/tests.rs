//! The published vectors, and each way to break a signed request (P27, reliability 10.2).

use axum::http::{HeaderMap, HeaderName};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::Refusal;
use super::claim::Signed;
use super::verify::{Limits, RequestText, payload_hash};
use crate::time;
use cbr_model::Timestamp;

const VECTORS: &str = include_str!("../../../tests/data/signing-vectors.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    sk: String,
    request_uri: String,
    headers: BTreeMap<String, String>,
    body: String,
    string_to_sign: String,
    authorization: String,
}

impl Vector {
    fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map.insert("authorization", self.authorization.parse().unwrap());
        map
    }

    fn verify(&self, change: impl FnOnce(&mut Sent)) -> Result<Timestamp, Refusal> {
        let mut sent = Sent {
            headers: self.header_map(),
            uri: self.request_uri.clone(),
            body: self.body.clone().into_bytes(),
            secret: self.sk.clone(),
            now: time::parse_compact(&self.headers["X-Sdk-Date"]).unwrap(),
            limits: Limits { skew_seconds_max: 900, accepts_unsigned_payload: true },
        };
        change(&mut sent);
        let signed = Signed::parse(&sent.headers).expect("the vector is signed")?;
        let request = sent.text(&self.method);
        signed.verify(&request, sent.secret.as_bytes(), sent.now, sent.limits)
    }
}

struct Sent {
    headers: HeaderMap,
    uri: String,
    body: Vec<u8>,
    secret: String,
    now: Timestamp,
    limits: Limits,
}

impl Sent {
    fn text<'a>(&'a self, method: &'a str) -> RequestText<'a> {
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        RequestText {
            method,
            path,
            query,
            headers: &self.headers,
            authority: None,
            body: &self.body,
        }
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(VECTORS).unwrap()
}

/// Contract A.2, V1 to V9: what the real clients sign is accepted.
#[test]
fn every_published_vector_verifies() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let verified = vector.verify(|_| {});
        assert!(verified.is_ok(), "{}: {verified:?}", vector.name);
    }
}

#[test]
fn the_string_to_sign_is_the_published_one() {
    for vector in vectors() {
        let headers = vector.header_map();
        let signed = Signed::parse(&headers).unwrap().unwrap();
        let sent = Sent {
            headers,
            uri: vector.request_uri.clone(),
            body: vector.body.clone().into_bytes(),
            secret: String::new(),
            now: Timestamp(0),
            limits: Limits { skew_seconds_max: 0, accepts_unsigned_payload: true },
        };
        let request = sent.text(&vector.method);
        let payload = payload_hash(&request, true).unwrap();
        let date = &vector.headers["X-Sdk-Date"];
        let text = signed.string_to_sign(&request, date, &payload).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), vector.string_to_sign, "{}", vector.name);
    }
}

type Change = fn(&mut Sent);

/// P27: a stolen signature is good for nothing but the very request it was made for.
#[test]
fn every_change_of_a_signed_request_is_refused() {
    let table: [(&str, Change, Refusal); 10] = [
        ("secret", |s| s.secret.push('x'), Refusal::WrongSignature),
        ("body", |s| s.body[0] ^= 1, Refusal::WrongSignature),
        ("path", |s| s.uri.insert(3, 'x'), Refusal::WrongSignature),
        ("query", |s| s.uri.push_str("?a=b"), Refusal::WrongSignature),
        (
            "signed header",
            |s| drop(s.headers.insert("x-project-id", "other".parse().unwrap())),
            Refusal::WrongSignature,
        ),
        ("missing header", |s| drop(s.headers.remove("x-project-id")), Refusal::HeaderMissing),
        (
            "body hash claimed instead of computed",
            |s| drop(s.headers.insert("x-sdk-content-sha256", "0".repeat(64).parse().unwrap())),
            Refusal::UnsignedBody,
        ),
        ("16 minutes later", |s| s.now = s.now.plus_seconds(901), Refusal::Skewed),
        ("16 minutes earlier", |s| s.now = s.now.plus_seconds(-901), Refusal::Skewed),
        (
            "another date",
            |s| drop(s.headers.insert("x-sdk-date", "20200224T093601Z".parse().unwrap())),
            Refusal::WrongSignature,
        ),
    ];
    let vector = &vectors()[1];
    for (what, change, want) in table {
        assert_eq!(vector.verify(change), Err(want), "{what}");
    }
}

#[test]
fn a_date_that_is_not_signed_is_no_date() {
    let vector = &vectors()[1];
    let unsigned = vector.verify(|sent| {
        let text = vector.authorization.replace(";x-sdk-date", "");
        sent.headers.insert("authorization", text.parse().unwrap());
    });
    assert_eq!(unsigned, Err(Refusal::NoDate));
}

/// V5 is accepted only by an operator who said so.
#[test]
fn a_body_outside_the_signature_is_refused_unless_configured() {
    let vector = &vectors()[4];
    let strict = vector.verify(|sent| sent.limits.accepts_unsigned_payload = false);
    assert_eq!(strict, Err(Refusal::UnsignedBody));
}

/// V7: the scope's day must be the day of the request.
#[test]
fn a_derived_key_of_another_day_is_refused() {
    let vector = &vectors()[6];
    let other = vector.verify(|sent| {
        let text = vector.authorization.replace("/20200224/", "/20200223/");
        sent.headers.insert("authorization", text.parse().unwrap());
    });
    assert_eq!(other, Err(Refusal::Scope));
}
