//! The courier of a process: who carries what.

use std::sync::{Arc, OnceLock};

use anyhow::Result;
use async_trait::async_trait;
use cbr_env::Clock;
use cbr_model::topic::Protocol;
use cbr_service::topics::{Courier, Letter, Undelivered};

use super::mail::Mail;
use super::webhook::Webhooks;
use crate::config::NotifyConfig;

/// The courier of this process.
#[derive(Debug)]
pub(crate) struct HouseCourier {
    mail: Option<Mail>,
    webhooks: Webhooks,
    /// How clients reach the service; known when it listens.
    public_url: OnceLock<String>,
}

impl HouseCourier {
    /// The courier of a configuration. Reaches out to nobody yet.
    pub(crate) fn new(config: &NotifyConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self {
            mail: config.mail()?.map(Mail::new).transpose()?,
            webhooks: Webhooks::new(config, clock)?,
            public_url: OnceLock::new(),
        })
    }

    /// Says how clients reach the service. Letters wait until that is known.
    pub(crate) fn set_public_url(&self, url: &str) {
        // The same process listens once.
        drop(self.public_url.set(url.to_owned()));
    }
}

#[async_trait]
impl Courier for HouseCourier {
    fn check(&self, protocol: Protocol, endpoint: &str) -> Result<(), String> {
        match (protocol, &self.mail) {
            (Protocol::Email, Some(mail)) => mail.check(endpoint),
            (Protocol::Email, None) => {
                Err("this server sends no mail: its operator has set no notify.smtp_host"
                    .to_owned())
            }
            (Protocol::Http | Protocol::Https, _) => self.webhooks.check(protocol, endpoint),
            (Protocol::Sms, _) => self.webhooks.check_number(endpoint),
        }
    }

    async fn carry(&self, letter: &Letter) -> Result<(), Undelivered> {
        let Some(url) = self.public_url.get() else {
            return Err(Undelivered::Later("the service is starting".to_owned()));
        };
        match (letter.protocol, &self.mail) {
            (Protocol::Email, Some(mail)) => mail.carry(letter, url).await,
            (Protocol::Email, None) => {
                Err(Undelivered::Later("this server has no notify.smtp_host".to_owned()))
            }
            (Protocol::Http | Protocol::Https, _) => self.webhooks.carry(letter, url).await,
            (Protocol::Sms, _) => self.webhooks.carry_text(letter, url).await,
        }
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
