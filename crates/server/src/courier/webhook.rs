//! Signed webhooks, and the gateway for text messages.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use cbr_env::Clock;
use cbr_model::network::Network;
use cbr_model::topic::Protocol;
use cbr_service::topics::{Letter, Undelivered};
use reqwest::{StatusCode, Url};
use serde_json::json;
use zeroize::Zeroizing;

use super::addresses::{CarefulResolver, is_allowed};
use super::body;
use super::house::chain;
use crate::config::{NotifyConfig, SmsGateway};

/// How long a receiver may take in all.
const ANSWER: Duration = Duration::from_secs(10);

/// A way to reach webhooks.
#[derive(Debug)]
pub(super) struct Webhooks {
    client: reqwest::Client,
    /// For the operator's own gateway, which may be anywhere.
    inner: reqwest::Client,
    networks: Arc<[Network]>,
    gateway: Option<SmsGateway>,
    clock: Arc<dyn Clock>,
}

impl Webhooks {
    pub(super) fn new(config: &NotifyConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let networks: Arc<[Network]> = config.networks()?.into();
        let resolver = CarefulResolver { networks: Arc::clone(&networks) };
        let client = builder(config)?.dns_resolver(Arc::new(resolver)).build();
        Ok(Self {
            client: client.context("cannot get ready for webhooks")?,
            inner: builder(config)?.build().context("cannot get ready for the gateway")?,
            networks,
            gateway: config.gateway()?,
            clock,
        })
    }

    /// Refuses what is no address of this protocol, or one that nothing may be sent to.
    pub(super) fn check(&self, protocol: Protocol, endpoint: &str) -> Result<(), String> {
        let url = Url::parse(endpoint).map_err(|error| format!("no address: {error}"))?;
        if url.scheme() != protocol.as_str() {
            return Err(format!("must begin with {}://", protocol.as_str()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("names and passwords do not belong into an address".to_owned());
        }
        match url.host_str().and_then(address) {
            Some(address) if !is_allowed(address, &self.networks) => Err(
                "webhooks do not go to private addresses; the operator may allow their network in \
                 notify.allow_networks"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// Refuses what is no telephone number, and every number where there is no gateway.
    pub(super) fn check_number(&self, endpoint: &str) -> Result<(), String> {
        if self.gateway.is_none() {
            let why = "this server sends no text messages: its operator has set no notify.sms_url";
            return Err(why.to_owned());
        }
        let digits = endpoint.strip_prefix('+').unwrap_or(endpoint);
        let is_number =
            (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if is_number { Ok(()) } else { Err("write a number as +8613800000000".to_owned()) }
    }

    pub(super) async fn carry(&self, letter: &Letter, public_url: &str) -> Result<(), Undelivered> {
        // The networks that are allowed may have changed since it was added.
        self.check(letter.protocol, &letter.endpoint).map_err(Undelivered::Never)?;
        let body = body::webhook(letter, public_url).to_string();
        self.post(&self.client, &letter.endpoint, letter, &letter.secret, body).await
    }

    pub(super) async fn carry_text(
        &self,
        letter: &Letter,
        public_url: &str,
    ) -> Result<(), Undelivered> {
        let Some(gateway) = &self.gateway else {
            return Err(Undelivered::Later("this server has no notify.sms_url".to_owned()));
        };
        let body = json!({
            "message_id": letter.id,
            "number": letter.endpoint,
            "subject": body::subject(letter),
            "message": body::text(letter, public_url),
        });
        self.post(&self.inner, &gateway.url, letter, &gateway.secret, body.to_string()).await
    }

    async fn post(
        &self,
        client: &reqwest::Client,
        url: &str,
        letter: &Letter,
        secret: &Zeroizing<String>,
        body: String,
    ) -> Result<(), Undelivered> {
        let at = self.clock.now().seconds();
        let answer = client
            .post(url)
            .header("content-type", "application/json")
            .header("x-cbr-message-id", letter.id.to_string())
            .header("x-cbr-timestamp", at.to_string())
            .header("x-cbr-signature", signature(secret, &letter.id.to_string(), at, &body))
            .body(body)
            .send()
            .await;
        match answer {
            Ok(answer) => judged(answer.status()),
            Err(error) => {
                // Without the address: it may hold a secret of the receiver in its query.
                let error = error.without_url();
                Err(Undelivered::Later(format!("no answer: {}", chain(error))))
            }
        }
    }
}

/// What the receiver computes as well: `v1=` and the HMAC-SHA256 of `id.timestamp.body`.
fn signature(secret: &str, id: &str, at: i64, body: &str) -> String {
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    format!("v1={}", hex::encode(sign(&key, format!("{id}.{at}.{body}").as_bytes())))
}

fn judged(status: StatusCode) -> Result<(), Undelivered> {
    let told = format!("the receiver answers {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::GONE => Err(Undelivered::Never(told)),
        status if status.is_redirection() => {
            Err(Undelivered::Later(format!("{told}; redirects are not followed")))
        }
        _ => Err(Undelivered::Later(told)),
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn builder(config: &NotifyConfig) -> Result<reqwest::ClientBuilder> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("cbr/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(ANSWER);
    if let Some(path) = &config.ca_file {
        let about = || format!("notify.ca_file {}", path.display());
        let pem = std::fs::read(path).with_context(about)?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).with_context(about)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use cbr_env::SystemClock;

    use super::*;

    fn webhooks(networks: &[&str]) -> Webhooks {
        let allow_networks = networks.iter().map(|text| (*text).to_owned()).collect();
        let config = NotifyConfig { allow_networks, ..NotifyConfig::default() };
        Webhooks::new(&config, Arc::new(SystemClock::default())).unwrap()
    }

    /// MON-07, P26.
    #[test]
    fn only_addresses_of_the_protocol_outside_of_the_house_are_taken() {
        let closed = webhooks(&[]);
        closed.check(Protocol::Https, "https://hooks.example.org/a?b=c").unwrap();
        for bad in [
            "http://hooks.example.org/",
            "https://user:pw@hooks.example.org/",
            "https://user@hooks.example.org/",
            "hooks.example.org",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/latest",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            closed.check(Protocol::Https, bad).unwrap_err();
        }
        let open = webhooks(&["127.0.0.0/8"]);
        open.check(Protocol::Http, "http://127.0.0.1:8080/hook").unwrap();
        open.check(Protocol::Http, "http://10.0.0.1/").unwrap_err();
        assert!(open.check_number("+8613800000000").unwrap_err().contains("sms_url"));
    }

    /// What the documentation tells receivers, computed by hand with another programme.
    #[test]
    fn a_signature_covers_id_time_and_body() {
        let told = signature("secret", "id-1", 1_700_000_000, "{}");
        assert_eq!(told, "v1=20d78aa1325fde80348246dff68f73ce11751e651515b663501de7cfc9da9677");
        assert_ne!(told, signature("secret", "id-2", 1_700_000_000, "{}"));
        assert_ne!(told, signature("secret", "id-1", 1_700_000_001, "{}"));
        assert_ne!(told, signature("other", "id-1", 1_700_000_000, "{}"));
    }

    #[test]
    fn only_gone_is_for_ever() {
        let of = |status: u16| judged(StatusCode::from_u16(status).unwrap());
        of(204).unwrap();
        assert!(matches!(of(410), Err(Undelivered::Never(_))));
        for status in [302, 400, 404, 429, 500, 503] {
            assert!(matches!(of(status), Err(Undelivered::Later(_))), "{status}");
        }
    }
}
