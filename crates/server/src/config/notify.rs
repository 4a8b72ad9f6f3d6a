//! `[notify]`: how messages leave the house.

use std::fmt;
use std::path::PathBuf;

use cbr_model::network::Network;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::file::{ConfigError, check_absolute, check_range};

/// How the mail server is talked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SmtpTls {
    /// In the clear first, then with TLS; without it nothing is sent.
    #[default]
    StartTls,
    /// With TLS from the beginning.
    Tls,
    /// In the clear.
    None,
}

/// How messages leave the house.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifyConfig {
    /// The mail server; none: no mail.
    pub(crate) smtp_host: Option<String>,
    /// Its port.
    pub(crate) smtp_port: u64,
    /// How it is talked to.
    pub(crate) smtp_tls: SmtpTls,
    /// Name at the server; none: without.
    pub(crate) smtp_user: Option<String>,
    /// Password at the server.
    pub(crate) smtp_password: Option<String>,
    /// A file that holds it.
    pub(crate) smtp_password_file: Option<PathBuf>,
    /// Who mails are from.
    pub(crate) from: Option<String>,
    /// Authorities that are trusted beside the machine's, for mail and webhooks.
    pub(crate) ca_file: Option<PathBuf>,
    /// Networks that webhooks may go to although they are not public.
    pub(crate) allow_networks: Vec<String>,
    /// A gateway for text messages: gets a POST for each of them.
    pub(crate) sms_url: Option<String>,
    /// A file with the secret that requests to the gateway are signed with.
    pub(crate) sms_secret_file: Option<PathBuf>,
    /// Messages that are carried at the same time.
    pub(crate) workers: u64,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            smtp_host: None,
            smtp_port: 587,
            smtp_tls: SmtpTls::default(),
            smtp_user: None,
            smtp_password: None,
            smtp_password_file: None,
            from: None,
            ca_file: None,
            allow_networks: Vec::new(),
            sms_url: None,
            sms_secret_file: None,
            workers: 4,
        }
    }
}

impl fmt::Debug for NotifyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyConfig").field("smtp_host", &self.smtp_host).finish_non_exhaustive()
    }
}

/// How mail is sent.
pub(crate) struct MailConfig {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: SmtpTls,
    pub(crate) login: Option<(String, Zeroizing<String>)>,
    pub(crate) from: String,
    pub(crate) ca_file: Option<PathBuf>,
}

/// The operator's gateway for text messages.
pub(crate) struct SmsGateway {
    pub(crate) url: String,
    pub(crate) secret: Zeroizing<String>,
}

impl fmt::Debug for SmsGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmsGateway(…)")
    }
}

impl NotifyConfig {
    /// How mail is sent; none: it is not.
    pub(crate) fn mail(&self) -> Result<Option<MailConfig>, ConfigError> {
        let (Some(host), Some(from)) = (&self.smtp_host, &self.from) else { return Ok(None) };
        let login = match &self.smtp_user {
            None => None,
            Some(user) => Some((user.clone(), self.password()?)),
        };
        Ok(Some(MailConfig {
            host: host.clone(),
            port: u16::try_from(self.smtp_port).unwrap_or(587),
            tls: self.smtp_tls,
            login,
            from: from.clone(),
            ca_file: self.ca_file.clone(),
        }))
    }

    fn password(&self) -> Result<Zeroizing<String>, ConfigError> {
        match (&self.smtp_password, &self.smtp_password_file) {
            (Some(password), _) => Ok(Zeroizing::new(password.clone())),
            (None, Some(path)) => secret(path),
            (None, None) => Ok(Zeroizing::default()),
        }
    }

    /// The gateway; none: no text messages.
    pub(crate) fn gateway(&self) -> Result<Option<SmsGateway>, ConfigError> {
        let (Some(url), Some(path)) = (&self.sms_url, &self.sms_secret_file) else {
            return Ok(None);
        };
        Ok(Some(SmsGateway { url: url.clone(), secret: secret(path)? }))
    }

    /// Networks that webhooks may go to although they are not public.
    pub(crate) fn networks(&self) -> Result<Vec<Network>, ConfigError> {
        let read = |text: &String| {
            let wrong =
                |why| ConfigError::invalid("notify.allow_networks", format!("{text}: {why}"));
            text.parse().map_err(wrong)
        };
        self.allow_networks.iter().map(read).collect()
    }

    /// Whether a password stands in the configuration itself.
    pub(crate) fn is_inline(&self) -> bool {
        self.smtp_password.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_range("notify.smtp_port", self.smtp_port, 1..=65_535)?;
        check_range("notify.workers", self.workers, 1..=64)?;
        check_absolute("notify.smtp_password_file", self.smtp_password_file.as_ref())?;
        check_absolute("notify.ca_file", self.ca_file.as_ref())?;
        check_absolute("notify.sms_secret_file", self.sms_secret_file.as_ref())?;
        if self.smtp_host.is_some() != self.from.is_some() {
            let why = "smtp_host and from are given together or not at all";
            return Err(ConfigError::invalid("notify.from", why));
        }
        if self.smtp_password.is_some() && self.smtp_password_file.is_some() {
            let why = "give smtp_password or smtp_password_file, not both";
            return Err(ConfigError::invalid("notify.smtp_password_file", why));
        }
        let has_password = self.smtp_password.is_some() || self.smtp_password_file.is_some();
        if has_password != self.smtp_user.is_some() {
            let why = "name and password are given together or not at all";
            return Err(ConfigError::invalid("notify.smtp_user", why));
        }
        if self.sms_url.is_some() != self.sms_secret_file.is_some() {
            let why = "sms_url and sms_secret_file are given together or not at all";
            return Err(ConfigError::invalid("notify.sms_url", why));
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if self.sms_url.as_ref().is_some_and(|url| !is_url(url)) {
            return Err(ConfigError::invalid("notify.sms_url", "must begin with http(s)://"));
        }
        self.networks().map(drop)
    }
}

fn secret(path: &PathBuf) -> Result<Zeroizing<String>, ConfigError> {
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|source| ConfigError::Read { path: path.clone(), source })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
