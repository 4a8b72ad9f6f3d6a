//! What an S3 backend is told by the operator.
//!
//! The endpoint comes from the configuration and from nowhere else (P33); the secret key is in no
//! `Debug` output (P32).

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::backend::{BackendError, Key, Op};

/// The longest prefix: what remains of S3's 1024 bytes is more than a key needs.
const PREFIX_BYTES_MAX: usize = 200;

/// Where the bucket is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// `https://host[:port]`, or `http://…` if that is allowed.
    pub endpoint: String,
    /// The bucket; it must exist.
    pub bucket: String,
    /// What all keys begin with, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The region requests are signed for.
    pub region: String,
    /// The account.
    pub credentials: S3Credentials,
    /// `host/bucket/key` instead of `bucket.host/key`.
    pub path_style: bool,
    /// Allows an endpoint without TLS.
    pub allow_http: bool,
    /// Certificates (PEM) that are trusted besides the system's.
    pub root_certificates: Vec<u8>,
    /// Sends `x-amz-checksum-sha256`; off only for stores that refuse the header.
    pub send_checksum: bool,
    /// Sends `If-None-Match: *` with puts; off only for stores that answer it with an error. They
    /// then overwrite, and an arbiter is needed (`layer/arbitrated.rs`).
    pub send_condition: bool,
    /// The most requests at the same time; the backend itself may find out that fewer are better.
    pub concurrency_max: usize,
    /// How long an answer may take, transfer apart.
    pub timeout: Duration,
}

/// An access key with its secret.
#[derive(Clone)]
pub struct S3Credentials {
    access_key: String,
    secret_key: Zeroizing<String>,
}

impl S3Credentials {
    /// The pair.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: Zeroizing::new(secret_key.into()) }
    }

    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(super) fn secret_key(&self) -> &str {
        &self.secret_key
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

impl S3Options {
    /// Defaults for everything but the place and the account.
    pub fn new(
        endpoint: impl Into<String>,
        bucket: impl Into<String>,
        credentials: S3Credentials,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            bucket: bucket.into(),
            prefix: String::new(),
            region: "us-east-1".to_owned(),
            credentials,
            path_style: true,
            allow_http: false,
            root_certificates: Vec::new(),
            send_checksum: true,
            send_condition: true,
            concurrency_max: 32,
            timeout: Duration::from_secs(30),
        }
    }

    /// Refuses what cannot work, or what would weaken it silently.
    ///
    /// # Errors
    /// [`BackendError::Refused`] naming the setting.
    pub fn check(&self) -> Result<(), BackendError> {
        let (scheme, host) = self.endpoint_parts();
        let host_is_plain = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        let rules = [
            (
                scheme == "https" || (scheme == "http" && self.allow_http),
                "endpoint must begin with https:// (http:// only with allow_http = true)",
            ),
            (host_is_plain, "endpoint must be scheme://host[:port], without user, path or query"),
            (is_bucket(&self.bucket), "bucket must be 3 to 63 of a-z, 0-9, '.', '-'"),
            (
                self.prefix.is_empty()
                    || (Key::is_valid(&self.prefix) && self.prefix.len() <= PREFIX_BYTES_MAX),
                "prefix must be like an object name: letters, digits, '.', '_', '-', '/' inside",
            ),
            (
                !self.region.is_empty()
                    && self.region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "region must be letters, digits and '-'",
            ),
            (
                !self.credentials.access_key().is_empty()
                    && !self.credentials.secret_key().is_empty(),
                "access_key and secret_key must be given",
            ),
            ((1..=1024).contains(&self.concurrency_max), "concurrency must be 1 to 1024"),
            (!self.timeout.is_zero(), "timeout must not be zero"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, why)) => Err(BackendError::Refused {
                op: Op::Open,
                key: self.place(),
                reason: (*why).to_owned(),
            }),
        }
    }

    /// For people, and to tell one place from another: `s3://bucket/prefix`.
    pub fn place(&self) -> String {
        if self.prefix.is_empty() {
            format!("s3://{}", self.bucket)
        } else {
            format!("s3://{}/{}", self.bucket, self.prefix)
        }
    }

    /// Where requests go: with the bucket in the host's name, unless path style was chosen.
    pub(super) fn url(&self) -> String {
        let (scheme, host) = self.endpoint_parts();
        if self.path_style {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{}.{host}", self.bucket)
        }
    }

    fn endpoint_parts(&self) -> (&str, &str) {
        self.endpoint.trim_end_matches('/').split_once("://").unwrap_or_default()
    }
}

fn is_bucket(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(b))
        && is_edge(bytes.first())
        && is_edge(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> S3Options {
        S3Options::new("https://s3.example.org", "backups", S3Credentials::new("id", "s3cr3t"))
    }

    #[test]
    fn what_cannot_work_or_is_not_safe_is_refused_by_name() {
        type Change = fn(&mut S3Options);
        let table: [(Change, &str); 10] = [
            (|o| o.endpoint = "http://s3.example.org".into(), "endpoint"),
            (|o| o.endpoint = "https://user:pw@s3.example.org".into(), "endpoint"),
            (|o| o.endpoint = "https://s3.example.org/path".into(), "endpoint"),
            (|o| o.endpoint = "s3.example.org".into(), "endpoint"),
            (|o| o.bucket = "Backups".into(), "bucket"),
            (|o| o.bucket = "a/b".into(), "bucket"),
            (|o| o.prefix = "/cbr".into(), "prefix"),
            (|o| o.prefix = "a/../b".into(), "prefix"),
            (|o| o.region = String::new(), "region"),
            (|o| o.credentials = S3Credentials::new("id", ""), "secret_key"),
        ];
        options().check().unwrap();
        for (change, expected) in table {
            let mut options = options();
            change(&mut options);
            let error = options.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let plain =
            S3Options { endpoint: "http://[::1]:9000/".into(), allow_http: true, ..options() };
        plain.check().unwrap();
        assert_eq!(plain.url(), "http://[::1]:9000");
    }

    #[test]
    fn the_bucket_goes_into_the_path_or_into_the_name_of_the_host() {
        assert_eq!(options().url(), "https://s3.example.org");
        let named = S3Options { path_style: false, ..options() };
        assert_eq!(named.url(), "https://backups.s3.example.org");
    }

    /// P32.
    #[test]
    fn the_secret_key_is_in_no_debug_output() {
        assert!(!format!("{:?}", options()).contains("s3cr3t"));
    }
}
