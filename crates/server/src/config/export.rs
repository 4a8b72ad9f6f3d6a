//! `[export]`: backups given out as disks over NBD.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbr_nbd::ServerTls;
use cbr_service::exports::{ExportNetwork, ExportSettings};
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_absolute, check_range};

/// Backups given out as disks over NBD.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExportConfig {
    /// Where sockets and overlays are; none: `exports` in the data directory.
    pub(crate) directory: Option<PathBuf>,
    /// Exports that are open at the same time.
    pub(crate) exports_max: u64,
    /// Connections of all clients together; each may take 64 MiB.
    pub(crate) connections_max: u64,
    /// What one writable export may take on disk, in GiB.
    pub(crate) overlay_gib_max: u64,
    /// What all exports together keep in memory of what was read lately, in MiB.
    pub(crate) cache_mib: u64,
    /// Where other machines reach exports, over TLS; none: they do not.
    pub(crate) listen: Option<SocketAddr>,
    /// Host and port by which they reach it, when that is not `listen`.
    pub(crate) public_address: Option<String>,
    /// PEM file with the certificate chain.
    pub(crate) certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub(crate) key_file: Option<PathBuf>,
    /// PEM file with the authorities whose certificates let clients in.
    pub(crate) client_ca_file: Option<PathBuf>,
}

impl Default for ExportConfig {
    fn default() -> Self {
        let (exports_max, connections_max) = (16, 32);
        Self {
            directory: None,
            exports_max,
            connections_max,
            overlay_gib_max: 64,
            cache_mib: 64,
            listen: None,
            public_address: None,
            certificate_file: None,
            key_file: None,
            client_ca_file: None,
        }
    }
}

impl ExportConfig {
    /// The settings of the service, with `directory` unless another one is configured.
    pub(crate) fn settings(&self, directory: &Path) -> Result<ExportSettings> {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Ok(ExportSettings {
            exports_max: number(self.exports_max),
            connections_max: number(self.connections_max),
            overlay_bytes_max: self.overlay_gib_max << 30,
            network: self.network()?,
            ..ExportSettings::within(self.directory.as_deref().unwrap_or(directory).to_owned())
        })
    }

    fn network(&self) -> Result<Option<ExportNetwork>> {
        let Some(listen) = self.listen else { return Ok(None) };
        let read = |key: &str, path: &Option<PathBuf>| {
            let path = path.as_deref().unwrap_or(Path::new(""));
            std::fs::read(path).with_context(|| format!("cannot read export.{key}"))
        };
        let chain = read("certificate_file", &self.certificate_file)?;
        let key = zeroize::Zeroizing::new(read("key_file", &self.key_file)?);
        let clients = read("client_ca_file", &self.client_ca_file)?;
        let tls = ServerTls::new(&chain, &key, Some(&clients), true)
            .context("cannot use the certificates of [export]")?;
        let public_address = self.public_address.clone().unwrap_or_else(|| listen.to_string());
        Ok(Some(ExportNetwork { public_address, tls }))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_absolute("export.directory", self.directory.as_ref())?;
        let files = [
            ("export.certificate_file", &self.certificate_file),
            ("export.key_file", &self.key_file),
            ("export.client_ca_file", &self.client_ca_file),
        ];
        for (key, path) in files {
            check_absolute(key, path.as_ref())?;
            if path.is_some() != self.listen.is_some() {
                let why = "export.listen, certificate_file, key_file and client_ca_file are given \
                           together or not at all: who has no certificate does not enter";
                return Err(ConfigError::invalid(key, why));
            }
        }
        check_range("export.exports_max", self.exports_max, 0..=1024)?;
        check_range("export.connections_max", self.connections_max, 1..=1024)?;
        check_range("export.overlay_gib_max", self.overlay_gib_max, 0..=65_536)?;
        check_range("export.cache_mib", self.cache_mib, 8..=65_536)
    }
}
