//! A client in the test's own process: builds requests, reads answers, signs as the SDKs do.
//!
//! The signer is written from the contract (A.2) without a line of the code under test.

use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::answers;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null when there is no body.
    pub(crate) body: Value,
    /// As it came.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The error code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.body["error_code"].as_str().unwrap_or("")
    }

    /// This answer, if it has the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }
}

/// Sends one request.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let seen = (request.method().as_str().to_owned(), request.uri().path().to_owned());
    let response = router.clone().oneshot(request).await.expect("a router never fails");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap().to_vec();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String("not JSON".into()))
    };
    let answer = Answer { status: parts.status, headers: parts.headers, body, bytes };
    answers::note(&seen.0, &seen.1, answer.status, answer.code());
    answer
}

/// A request that is being built.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &str, uri: impl Into<String>) -> Self {
        Self { method: method.into(), uri: uri.into(), headers: vec![], body: vec![] }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("x-auth-token", token)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
    }

    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Signs it as the Python SDK does; `date` as `20200224T093600Z`.
    pub(crate) fn signed(self, access_key: &str, secret_key: &str, date: &str) -> Self {
        let call = self.header("host", "cbr.example.test").header("x-sdk-date", date);
        let signed = "host;x-sdk-date";
        let (path, query) = call.uri.split_once('?').unwrap_or((&call.uri, ""));
        let slash = if path.ends_with('/') { "" } else { "/" };
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let canonical = format!(
            "{}\n{path}{slash}\n{}\nhost:cbr.example.test\nx-sdk-date:{date}\n\n{signed}\n{}",
            call.method,
            pairs.join("&"),
            sha256(&call.body)
        );
        let text = format!("SDK-HMAC-SHA256\n{date}\n{}", sha256(canonical.as_bytes()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret_key.as_bytes());
        let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
        call.header(
            "authorization",
            format!(
                "SDK-HMAC-SHA256 Access={access_key}, SignedHeaders={signed}, Signature={signature}"
            ),
        )
    }

    pub(crate) fn build(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.uri);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body)).expect("a request that can be sent")
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
