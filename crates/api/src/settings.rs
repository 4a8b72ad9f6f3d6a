//! What the operator decides about the HTTP side. Numbers and names only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cbr_model::network::Network;
use tokio_util::sync::CancellationToken;

/// Settings of the API.
#[derive(Clone)]
pub struct Settings {
    /// Where clients reach the service, without a slash at the end; the catalogue says it.
    pub public_url: String,
    /// Id of the region; the catalogue says it.
    pub region: String,
    /// The largest request body, in bytes.
    pub body_bytes_max: usize,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// How long a request may take once it is let in.
    pub request_timeout: Duration,
    /// How far the date of a signed request may be from now (P27).
    pub signature_skew: Duration,
    /// How many signatures are remembered against replay (P27).
    pub signatures_remembered_max: usize,
    /// Whether signed requests may leave their body unsigned (contract A.2 step 5).
    pub accepts_unsigned_payload: bool,
    /// Whether there is nothing but the contract: no operation and no field of ours.
    pub is_strict: bool,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<Network>,
    /// Cancelled when the service stops: streams end then.
    pub stopping: CancellationToken,
    /// Renders `/metrics`; none: the path does not exist.
    pub metrics: Option<RenderMetrics>,
}

/// Writes all metrics in the Prometheus text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8700".to_owned(),
            region: "local-1".to_owned(),
            body_bytes_max: 1 << 20,
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_mins(5),
            signature_skew: Duration::from_mins(15),
            signatures_remembered_max: 1 << 20,
            accepts_unsigned_payload: false,
            is_strict: false,
            trusted_proxies: Vec::new(),
            stopping: CancellationToken::new(),
            metrics: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("public_url", &self.public_url)
            .field("region", &self.region)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("body_timeout", &self.body_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("signature_skew", &self.signature_skew)
            .field("signatures_remembered_max", &self.signatures_remembered_max)
            .field("accepts_unsigned_payload", &self.accepts_unsigned_payload)
            .field("is_strict", &self.is_strict)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("stopping", &self.stopping.is_cancelled())
            .field("metrics", &self.metrics.is_some())
            .finish()
    }
}
