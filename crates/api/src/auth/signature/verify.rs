//! Checking a claimed signature against the request and the secret.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hkdf, hmac};
use axum::http::HeaderMap;
use cbr_model::Timestamp;

use super::claim::{Algorithm, Signed};
use super::{Refusal, canonical};
use crate::time;

/// The header value of a client that did not hash the body.
const UNSIGNED_PAYLOAD: &[u8] = b"UNSIGNED-PAYLOAD";

/// The parts of a request that a signature covers, as they were on the wire.
#[derive(Clone, Copy, Debug)]
pub struct RequestText<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Not decoded, not normalised.
    pub path: &'a str,
    /// What follows the `?`, or nothing.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The authority of the request, for HTTP/2.
    pub authority: Option<&'a str>,
    /// The raw bytes.
    pub body: &'a [u8],
}

/// What the operator allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How far the date of a request may be from now, in seconds.
    pub skew_seconds_max: i64,
    /// Whether a body that the signature does not cover is taken.
    pub accepts_unsigned_payload: bool,
}

impl Signed {
    /// Refuses what no secret can make right: a date that is absent, not signed or of another time.
    pub fn check_date(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
        limits: Limits,
    ) -> Result<(), Refusal> {
        let (_, date) = self.date(headers)?;
        if (now.seconds() - date.seconds()).abs() > limits.skew_seconds_max {
            return Err(Refusal::Skewed);
        }
        Ok(())
    }

    /// Checks the signature with the secret of [`Signed::access_key`]; the date of the request if all is well.
    pub fn verify(
        &self,
        request: &RequestText<'_>,
        secret: &[u8],
        now: Timestamp,
        limits: Limits,
    ) -> Result<Timestamp, Refusal> {
        self.check_date(request.headers, now, limits)?;
        let (date_text, date) = self.date(request.headers)?;
        let payload = payload_hash(request, limits.accepts_unsigned_payload)?;
        let text = self.string_to_sign(request, date_text, &payload)?;
        let key = self.key(secret, date_text)?;
        hmac::verify(&key, &text, &self.signature).map_err(|_| Refusal::WrongSignature)?;
        Ok(date)
    }

    /// The date, which must be signed: otherwise an old signature could be given a new date.
    fn date<'a>(&self, headers: &'a HeaderMap) -> Result<(&'a str, Timestamp), Refusal> {
        if !self.headers.iter().any(|name| name == "x-sdk-date") {
            return Err(Refusal::NoDate);
        }
        let mut values = headers.get_all("x-sdk-date").iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::NoDate);
        };
        let text = value.to_str().map_err(|_| Refusal::NoDate)?.trim();
        let date = time::parse_compact(text).ok_or(Refusal::NoDate)?;
        Ok((text, date))
    }

    pub(super) fn string_to_sign(
        &self,
        request: &RequestText<'_>,
        date: &str,
        payload_hash: &str,
    ) -> Result<Vec<u8>, Refusal> {
        let mut canonical = format!(
            "{}\n{}\n{}\n",
            request.method,
            canonical::path(request.path),
            canonical::query(request.query)
        )
        .into_bytes();
        canonical.extend(canonical::headers(&self.headers, request.headers, request.authority)?);
        canonical.extend(format!("\n{}\n{payload_hash}", self.headers.join(";")).into_bytes());
        let hash = hex::encode(digest(&SHA256, &canonical));
        let algorithm = self.algorithm.as_str();
        Ok(match &self.algorithm {
            Algorithm::Plain => format!("{algorithm}\n{date}\n{hash}"),
            Algorithm::Derived { scope } => format!("{algorithm}\n{date}\n{scope}\n{hash}"),
        }
        .into_bytes())
    }

    fn key(&self, secret: &[u8], date: &str) -> Result<hmac::Key, Refusal> {
        let Algorithm::Derived { scope } = &self.algorithm else {
            return Ok(hmac::Key::new(hmac::HMAC_SHA256, secret));
        };
        // The derived key is for one day; a date of another day would make it live for ever.
        let mut parts = scope.split('/');
        if parts.next() != date.get(..8) || parts.count() != 2 {
            return Err(Refusal::Scope);
        }
        let mut derived = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, self.access_key.as_bytes())
            .extract(secret)
            .expand(&[scope.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .map_err(|_| Refusal::Scope)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, hex::encode(derived).as_bytes()))
    }
}

/// The hash of the body as it enters the canonical request (contract A.2 step 5).
pub(super) fn payload_hash(
    request: &RequestText<'_>,
    accepts_unsigned_payload: bool,
) -> Result<String, Refusal> {
    let computed = hex::encode(digest(&SHA256, request.body));
    let stated = request.headers.get("x-sdk-content-sha256");
    let Some(stated) = stated.filter(|_| !request.body.is_empty()) else {
        return Ok(computed);
    };
    let stated = stated.as_bytes().trim_ascii();
    if stated == computed.as_bytes() {
        Ok(computed)
    } else if stated == UNSIGNED_PAYLOAD && accepts_unsigned_payload {
        Ok(String::from_utf8_lossy(UNSIGNED_PAYLOAD).into_owned())
    } else {
        Err(Refusal::UnsignedBody)
    }
}
