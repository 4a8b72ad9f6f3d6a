//! `[http]`: where and how the service answers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cbr_api::shares::Shares;
use cbr_model::network::Network;
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_absolute, check_range};

/// What is answered beside the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compatibility {
    /// Operations under `/x/`, and fields whose names begin with `x-`.
    Extended,
    /// Nothing.
    Strict,
}

/// Where and how the service answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpConfig {
    /// Address and port; `--listen` wins.
    pub(crate) listen: SocketAddr,
    /// How clients reach the service, as the service catalogue tells them; none: from `listen`.
    pub(crate) public_url: Option<String>,
    /// PEM file with the certificate chain.
    pub(crate) certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub(crate) key_file: Option<PathBuf>,
    /// Answer without TLS also where others can listen in.
    pub(crate) allow_plain_http: bool,
    /// The largest request body.
    pub(crate) body_bytes_max: u64,
    /// How far the clock of a client may be off when it signs.
    pub(crate) signature_skew_seconds: u64,
    /// Accept signed requests that leave their body unsigned.
    pub(crate) accept_unsigned_payload: bool,
    /// Whether there are operations and fields that the contract does not have.
    pub(crate) compatibility: Compatibility,
    /// Networks of proxies that are believed when they say for whom they ask.
    pub(crate) trusted_proxies: Vec<String>,
    /// How many connections there may be at a time.
    pub(crate) connections_max: u64,
    /// How many of them one address may have; none: half, or all where only this machine can connect.
    pub(crate) connections_per_address_max: Option<u64>,
    /// How long a connection may ask nothing, or take nothing of an answer.
    pub(crate) idle_seconds: u64,
    /// How long running requests may take to end when the service stops.
    pub(crate) shutdown_seconds: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8700)),
            public_url: None,
            certificate_file: None,
            key_file: None,
            allow_plain_http: false,
            body_bytes_max: 1 << 20,
            signature_skew_seconds: 900,
            accept_unsigned_payload: false,
            compatibility: Compatibility::Extended,
            trusted_proxies: Vec::new(),
            connections_max: 512,
            connections_per_address_max: None,
            idle_seconds: 75,
            shutdown_seconds: 10,
        }
    }
}

impl HttpConfig {
    /// Certificate and key, when the service answers with TLS.
    pub(crate) fn tls(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.certificate_file.as_ref().zip(self.key_file.as_ref())
    }

    /// How clients reach the service that listens at `address`.
    pub(crate) fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.tls().is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{address}");
        self.public_url.as_ref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
    }

    /// How long running requests may take to end.
    pub(crate) const fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }

    /// Networks of proxies that are believed when they say for whom they ask.
    pub(crate) fn trusted_proxies(&self) -> Result<Vec<Network>, ConfigError> {
        let read = |text: &String| {
            let wrong =
                |why: &str| ConfigError::invalid("http.trusted_proxies", format!("{text}: {why}"));
            let network: Network = text.parse().map_err(wrong)?;
            if network.is_everything() {
                return Err(wrong(
                    "whoever is trusted chooses its address, so not everybody may be",
                ));
            }
            Ok(network)
        };
        self.trusted_proxies.iter().map(read).collect()
    }

    /// The places for connections of a service that listens at `address`.
    pub(crate) fn connections_at(&self, address: SocketAddr) -> Shares<IpAddr> {
        let all = self.connections_max;
        let share = if address.ip().is_loopback() { all } else { all.div_ceil(2) };
        let each = self.connections_per_address_max.unwrap_or(share);
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Shares::new(number(each), number(all))
    }

    /// How long a connection may ask nothing, or take nothing of an answer.
    pub(crate) const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// How far the clock of a client may be off.
    pub(crate) const fn signature_skew(&self) -> Duration {
        Duration::from_secs(self.signature_skew_seconds)
    }

    /// Refuses to answer in the clear where others can listen in.
    pub(crate) fn check_address(&self, address: SocketAddr) -> Result<(), ConfigError> {
        if address.ip().is_loopback() || self.tls().is_some() || self.allow_plain_http {
            return Ok(());
        }
        Err(ConfigError::invalid(
            "http.listen",
            format!(
                "{address} can be reached from outside, so it needs TLS: set \
                 http.certificate_file and http.key_file, or http.allow_plain_http = true \
                 when a proxy in front does it"
            ),
        ))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.certificate_file.is_some() != self.key_file.is_some() {
            let why = "certificate and key are given together or not at all";
            return Err(ConfigError::invalid("http.certificate_file and http.key_file", why));
        }
        check_absolute("http.certificate_file", self.certificate_file.as_ref())?;
        check_absolute("http.key_file", self.key_file.as_ref())?;
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(ConfigError::invalid("http.public_url", "must begin with http(s)://"));
        }
        self.trusted_proxies()?;
        check_range("http.body_bytes_max", self.body_bytes_max, 1 << 10..=64 << 20)?;
        check_range("http.signature_skew_seconds", self.signature_skew_seconds, 1..=86_400)?;
        check_range("http.connections_max", self.connections_max, 1..=65_536)?;
        let share = self.connections_per_address_max.unwrap_or(1);
        check_range("http.connections_per_address_max", share, 1..=65_536)?;
        check_range("http.idle_seconds", self.idle_seconds, 1..=3600)?;
        check_range("http.shutdown_seconds", self.shutdown_seconds, 0..=3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_leaves_the_machine_only_when_the_operator_says_so() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut config = HttpConfig::default();
        assert!(config.check_address(address("127.0.0.1:1")).is_ok());
        assert!(config.check_address(address("[::1]:1")).is_ok());
        assert!(config.check_address(address("0.0.0.0:1")).is_err());
        config.allow_plain_http = true;
        assert!(config.check_address(address("0.0.0.0:1")).is_ok());
        config.allow_plain_http = false;
        config.certificate_file = Some("/c".into());
        config.key_file = Some("/k".into());
        assert!(config.check_address(address("192.0.2.1:1")).is_ok());
        assert_eq!(config.url_at(address("192.0.2.1:1")), "https://192.0.2.1:1");
    }
}
