//! `[repository.s3]`: a bucket of an S3-compatible store as the place for backups.
//!
//! The endpoint stands here and nowhere else: no API takes one (P33). The secret key can be kept in a file
//! or in the environment, and is in no output (P32).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cbr_store::backend::{S3Credentials, S3Options};
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_absolute, check_range};

/// Names of the account's variables, as all tools for such stores know them.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// Where the bucket is, and how it is spoken to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Config {
    /// `https://host[:port]`.
    endpoint: String,
    /// The bucket; it must exist.
    bucket: String,
    /// What the names of all objects begin with.
    #[serde(default)]
    prefix: String,
    /// The region requests are signed for.
    #[serde(default = "region")]
    region: String,
    /// None: from the environment, together with the secret key.
    access_key: Option<String>,
    secret_key: Option<String>,
    /// A file that holds the secret key.
    secret_key_file: Option<PathBuf>,
    /// `host/bucket/key` instead of `bucket.host/key`.
    #[serde(default = "yes")]
    path_style: bool,
    /// Allows an endpoint without TLS.
    #[serde(default)]
    allow_http: bool,
    /// PEM file with certificates to trust besides the system's.
    ca_file: Option<PathBuf>,
    /// Sends a SHA-256 with each object.
    #[serde(default = "yes")]
    send_checksum: bool,
    /// Sends `If-None-Match: *` with each object.
    #[serde(default = "yes")]
    send_condition: bool,
    /// The most requests at the same time.
    #[serde(default = "concurrency")]
    concurrency: u64,
    /// How long an answer may take, transfer apart.
    #[serde(default = "timeout_seconds")]
    timeout_seconds: u64,
}

fn region() -> String {
    "us-east-1".to_owned()
}

const fn yes() -> bool {
    true
}

const fn concurrency() -> u64 {
    32
}

const fn timeout_seconds() -> u64 {
    30
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("secret_key", &self.secret_key.as_ref().map(|_| "…"))
            .field("secret_key_file", &self.secret_key_file)
            .finish_non_exhaustive()
    }
}

impl S3Config {
    /// What the store's backend is told. It holds the secret key: not for logs.
    pub(crate) fn options(&self) -> Result<S3Options, ConfigError> {
        let root_certificates = match &self.ca_file {
            None => Vec::new(),
            Some(path) => std::fs::read(path)
                .map_err(|source| ConfigError::Read { path: path.clone(), source })?,
        };
        let options = S3Options { root_certificates, ..self.plain(self.credentials()?) };
        options
            .check()
            .map_err(|error| ConfigError::invalid("repository.s3", error.to_string()))?;
        Ok(options)
    }

    /// Whether the secret key stands in the configuration itself.
    pub(crate) fn is_inline(&self) -> bool {
        self.secret_key.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &str, why: &str| Err(ConfigError::invalid(key, why));
        check_absolute("repository.s3.secret_key_file", self.secret_key_file.as_ref())?;
        check_absolute("repository.s3.ca_file", self.ca_file.as_ref())?;
        check_range("repository.s3.concurrency", self.concurrency, 1..=1024)?;
        check_range("repository.s3.timeout_seconds", self.timeout_seconds, 1..=3600)?;
        match (&self.access_key, &self.secret_key, &self.secret_key_file) {
            (_, Some(_), Some(_)) => {
                return invalid(
                    "repository.s3.secret_key_file",
                    "give secret_key or secret_key_file, not both",
                );
            }
            (Some(_), None, None) => {
                return invalid("repository.s3.secret_key", "access_key needs one (or a file)");
            }
            (None, Some(_), _) | (None, _, Some(_)) => {
                return invalid("repository.s3.access_key", "a secret key needs one");
            }
            _ => {}
        }
        // What it says of the account is found out when there is one: it may be in the environment.
        self.plain(S3Credentials::new("key", "secret"))
            .check()
            .map_err(|error| ConfigError::invalid("repository.s3", error.to_string()))
    }

    fn plain(&self, credentials: S3Credentials) -> S3Options {
        S3Options {
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            allow_http: self.allow_http,
            send_checksum: self.send_checksum,
            send_condition: self.send_condition,
            concurrency_max: usize::try_from(self.concurrency).unwrap_or(1),
            timeout: Duration::from_secs(self.timeout_seconds),
            ..S3Options::new(self.endpoint.as_str(), self.bucket.as_str(), credentials)
        }
    }

    fn credentials(&self) -> Result<S3Credentials, ConfigError> {
        let of_environment = |name: &str| {
            std::env::var(name).map_err(|_| {
                let why = format!("not given, and the environment has no {name}");
                ConfigError::invalid("repository.s3.access_key", why)
            })
        };
        match (&self.access_key, &self.secret_key, &self.secret_key_file) {
            (Some(access), Some(secret), _) => {
                Ok(S3Credentials::new(access.as_str(), secret.as_str()))
            }
            (Some(access), None, Some(path)) => {
                let secret = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
                Ok(S3Credentials::new(access.as_str(), secret.trim()))
            }
            _ => Ok(S3Credentials::new(of_environment(ACCESS_KEY)?, of_environment(SECRET_KEY)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<S3Config, ConfigError> {
        let config: S3Config = toml::from_str(text).unwrap();
        config.validate()?;
        Ok(config)
    }

    const PLACE: &str = "endpoint = \"https://s3.example.org\"\nbucket = \"backups\"\n";

    #[test]
    fn a_place_is_enough_and_the_example_shows_the_defaults() {
        let shown: Vec<&str> = super::super::EXAMPLE
            .lines()
            .skip_while(|line| *line != "# [repository.s3]")
            .skip(1)
            .take_while(|line| line.starts_with("# "))
            .map(|line| &line[2..])
            .collect();
        let shown = parse(&shown.join("\n")).unwrap();
        let account = "access_key = \"backup-service\"\nsecret_key_file = \"/etc/cbr/s3.secret\"\n";
        let more = "prefix = \"cbr\"\nca_file = \"/etc/cbr/s3-ca.pem\"\n";
        assert_eq!(shown, parse(&format!("{PLACE}{account}{more}")).unwrap());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("access_key = \"a\"", "secret_key"),
            ("secret_key = \"a\"", "access_key"),
            ("access_key = \"a\"\nsecret_key = \"b\"\nsecret_key_file = \"/c\"", "not both"),
            ("prefix = \"/a\"", "prefix"),
            ("region = \"\"", "region"),
            ("concurrency = 0", "concurrency"),
            ("ca_file = \"ca.pem\"", "ca_file"),
        ] {
            let error = parse(&format!("{PLACE}{text}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let plain = "endpoint = \"http://127.0.0.1:9000\"\nbucket = \"backups\"\n";
        assert!(parse(plain).unwrap_err().to_string().contains("allow_http"));
        parse(&format!("{plain}allow_http = true")).unwrap();
    }

    /// P32.
    #[test]
    fn the_secret_key_is_in_no_output() {
        let text = format!("{PLACE}access_key = \"a\"\nsecret_key = \"s3cr3t\"");
        let config = parse(&text).unwrap();
        assert!(!format!("{config:?} {:?}", config.options().unwrap()).contains("s3cr3t"));
    }

    #[test]
    fn the_secret_key_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cr3t\n").unwrap();
        let text = format!("{PLACE}access_key = \"a\"\nsecret_key_file = \"{}\"", path.display());
        parse(&text).unwrap().options().unwrap();
        std::fs::write(&path, "\n").unwrap();
        assert!(parse(&text).unwrap().options().is_err(), "an empty secret is none");
    }
}
