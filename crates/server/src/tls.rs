//! The service's certificate: read before anything else is touched, and again when it was renewed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum_server::tls_rustls::RustlsConfig;
use cbr_env::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::HttpConfig;

/// How often the files are read again without being asked.
const EVERY: Duration = Duration::from_hours(1);

/// A certificate with its key, and the files they come from.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    config: RustlsConfig,
    chain_file: PathBuf,
    key_file: PathBuf,
}

impl Certificate {
    /// Reads what the configuration names, if it names one. The files are in order then, and belong together.
    pub(crate) async fn load(http: &HttpConfig) -> Result<Option<Self>> {
        let Some((certificate, key)) = http.tls() else { return Ok(None) };
        // An installed provider from an earlier call is the same one.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let config = RustlsConfig::from_pem_file(certificate, key)
            .await
            .context("cannot use http.certificate_file and http.key_file")?;
        Ok(Some(Self { config, chain_file: certificate.clone(), key_file: key.clone() }))
    }

    /// What handshakes use. It follows every reload.
    pub(crate) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Files that are not in order – half of a renewal, say – change nothing.
    async fn reload(&self) {
        match self.config.reload_from_pem_file(&self.chain_file, &self.key_file).await {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::error!(
                %error,
                "the certificate cannot be read again: the one from before stays in use"
            ),
        }
    }
}

/// SIGHUP, from now on: it no longer ends the process.
pub(crate) fn hangups() -> Result<Signal> {
    signal(SignalKind::hangup()).context("cannot wait for SIGHUP")
}

/// Reads the certificate again, if there is one, at each SIGHUP and once an hour, until `stopping`.
pub(crate) async fn keep_fresh(
    certificate: Option<Certificate>,
    mut hangups: Signal,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = hangups.recv() => {}
            () = clock.sleep(EVERY) => {}
        }
        if let Some(certificate) = &certificate {
            certificate.reload().await;
        }
    }
}
