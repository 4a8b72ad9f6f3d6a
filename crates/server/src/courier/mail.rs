//! Mail by SMTP.

use std::time::Duration;

use anyhow::{Context, Result};
use cbr_service::topics::{Letter, Undelivered};
use lettre::address::Envelope;
use lettre::message::{Mailbox, Message, header};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncTransport, Tokio1Executor};

use super::body;
use super::house::chain;
use crate::config::{MailConfig, SmtpTls};

/// How long a server may take for each of its answers.
const ANSWER: Duration = Duration::from_secs(10);
/// A courier may not hang longer than this, whatever the server does.
const WHOLE: Duration = Duration::from_secs(18);
/// Answers that say that there is nobody of this address.
const NOBODY: [&str; 4] = ["501", "550", "551", "553"];

/// A way to send mail.
pub(super) struct Mail {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mail {
    pub(super) fn new(config: MailConfig) -> Result<Self> {
        let from = config.from.parse().context("notify.from is no address")?;
        let tls = match config.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::StartTls => Tls::Required(parameters(&config)?),
            SmtpTls::Tls => Tls::Wrapper(parameters(&config)?),
        };
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(ANSWER));
        if let Some((user, password)) = config.login {
            server = server.credentials(Credentials::new(user, password.to_string()));
        }
        Ok(Self { server: server.build(), from })
    }

    /// Refuses what is no address.
    #[expect(clippy::unused_self, reason = "only who can send mail takes addresses")]
    pub(super) fn check(&self, endpoint: &str) -> Result<(), String> {
        endpoint.parse::<Address>().map(drop).map_err(|error| format!("no mail address: {error}"))
    }

    pub(super) async fn carry(&self, letter: &Letter, public_url: &str) -> Result<(), Undelivered> {
        let never = |error: &dyn std::fmt::Display| Undelivered::Never(error.to_string());
        let to: Address = letter.endpoint.parse().map_err(|error| never(&error))?;
        let message =
            self.message(letter, public_url, to.clone()).map_err(|error| never(&error))?;
        let envelope = Envelope::new(Some(self.from.clone()), vec![to]);
        let envelope = envelope.map_err(|error| never(&error))?;
        let sent = tokio::time::timeout(WHOLE, self.server.send_raw(&envelope, &message)).await;
        let Err(error) = sent.map_err(|_| Undelivered::Later("the mail server is slow".into()))?
        else {
            return Ok(());
        };
        let code = error.status().map(|code| code.to_string());
        let reason = format!("the mail server: {}", chain(error));
        if code.is_some_and(|code| NOBODY.contains(&code.as_str())) {
            return Err(Undelivered::Never(reason));
        }
        Err(Undelivered::Later(reason))
    }

    fn message(
        &self,
        letter: &Letter,
        public_url: &str,
        to: Address,
    ) -> Result<Vec<u8>, lettre::error::Error> {
        let sender = Some(letter.sender.clone()).filter(|name| !name.is_empty());
        let at = std::time::UNIX_EPOCH + Duration::from_micros(letter.at.0.unsigned_abs());
        let message = Message::builder()
            .from(Mailbox::new(sender, self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(body::subject(letter))
            .date(at)
            // The same for each attempt: the receiver's server can tell repetitions.
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.domain())))
            .header(header::ContentType::TEXT_PLAIN)
            .body(body::text(letter, public_url))?;
        Ok(message.formatted())
    }
}

fn parameters(config: &MailConfig) -> Result<TlsParameters> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let read = || std::fs::read(path).context("cannot read it");
        let pem = read().with_context(|| format!("notify.ca_file {}", path.display()))?;
        let certificate = Certificate::from_pem(&pem)
            .with_context(|| format!("notify.ca_file {}", path.display()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().context("cannot set up TLS for mail")
}
