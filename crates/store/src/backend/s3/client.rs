//! The client library, told what it may not do.
//!
//! It follows no redirect, asks no metadata service, reads no environment and goes through no proxy:
//! requests go to the endpoint of the configuration or nowhere (P33). It retries nothing: that is
//! `calls.rs`.

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::options::S3Options;
use super::watch::Watch;
use crate::backend::{BackendError, Op};

/// Connections that are kept although nothing uses them.
const IDLE_CONNECTIONS_MAX: usize = 16;

/// The client of a bucket, and what its requests go through.
pub(super) fn connect(options: &S3Options) -> Result<(AmazonS3, HttpClient), BackendError> {
    options.check()?;
    let refused = |error: &dyn std::fmt::Display| BackendError::Refused {
        op: Op::Open,
        key: options.place(),
        reason: error.to_string(),
    };
    let http = HttpClient::new(Watch(http(options).map_err(|error| refused(&error))?));
    let mut builder = AmazonS3Builder::new()
        .with_endpoint(options.url())
        .with_bucket_name(&options.bucket)
        .with_region(&options.region)
        .with_access_key_id(options.credentials.access_key())
        .with_secret_access_key(options.credentials.secret_key())
        .with_virtual_hosted_style_request(!options.path_style)
        .with_allow_http(options.allow_http)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 0,
            retry_timeout: std::time::Duration::ZERO,
        })
        .with_http_connector(Connector(http.clone()));
    if options.send_checksum {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    Ok((builder.build().map_err(|error| refused(&error))?, http))
}

fn http(options: &S3Options) -> Result<reqwest::Client, reqwest::Error> {
    let certificates = if options.root_certificates.is_empty() {
        Vec::new()
    } else {
        reqwest::Certificate::from_pem_bundle(&options.root_certificates)?
    };
    reqwest::Client::builder()
        .user_agent(concat!("cbr/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .https_only(!options.allow_http)
        .connect_timeout(options.timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .tls_certs_merge(certificates)
        .build()
}

#[derive(Debug)]
struct Connector(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}
