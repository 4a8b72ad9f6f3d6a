//! `[export]`: backups given out as disks over NBD.

use std::fs::Metadata;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cbr_nbd::ServerTls;
use cbr_service::exports::{ExportNetwork, ExportSettings};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::file::{ConfigError, check_absolute, check_range};

/// Our own directory in one that is not for us alone.
const BENEATH: &str = "cbr-exports";

/// Backups given out as disks over NBD.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExportConfig {
    /// Where sockets and overlays are, in `cbr-exports` there if others can enter it; none: `exports` in
    /// the data directory.
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

/// A directory in which nobody else does anything is used as it is; one that is not there will be made so.
/// In one that others use as well – `/run`, `/srv/nbd` – there is one of ours beneath: its mode is its
/// owner's business. Where we have something already it stays, so that its mode moves no overlay away: while
/// others can enter it, it is refused when it is used.
fn private_place(named: &Path) -> Result<PathBuf> {
    let is_private = |about: &Metadata| {
        about.is_dir() && about.uid() == geteuid().as_raw() && about.mode() & 0o777 == 0o700
    };
    match named.metadata() {
        Ok(about) if !is_private(&about) && !holds_ours(named) => {}
        _ => return Ok(named.to_owned()),
    }
    let beneath = named.join(BENEATH);
    match beneath.symlink_metadata() {
        Ok(about) if !is_private(&about) => anyhow::bail!(
            "{} is not a directory of this service alone: remove it, or give it to its user and chmod 700",
            beneath.display()
        ),
        _ => Ok(beneath),
    }
}

/// Whether overlays or sockets of exports are in a directory: named by an id, sockets with an end.
fn holds_ours(directory: &Path) -> bool {
    // One that we cannot read we did not use either.
    let Ok(entries) = directory.read_dir() else { return false };
    // Where others may make things as well, such a name alone says nothing.
    let is_own = |about: Metadata| about.uid() == geteuid().as_raw();
    entries.flatten().any(|entry| {
        entry.file_name().to_str().is_some_and(is_ours) && entry.metadata().is_ok_and(is_own)
    })
}

fn is_ours(name: &str) -> bool {
    let id = name.strip_suffix(".sock").unwrap_or(name);
    Uuid::try_parse(id).is_ok_and(|uuid| uuid.simple().to_string() == id)
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
            ..ExportSettings::within(match &self.directory {
                Some(named) => private_place(named)?,
                None => directory.to_owned(),
            })
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// P32: the mode of a directory that others use is its owner's business; what is given out is not.
    #[test]
    fn a_directory_that_others_use_gets_one_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("named");
        assert_eq!(private_place(&named).unwrap(), named, "it will be made");
        fs::create_dir(&named).unwrap();
        let set =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&named, 0o700);
        assert_eq!(private_place(&named).unwrap(), named, "as an older release left it");
        set(&named, 0o755);
        let beneath = named.join("cbr-exports");
        assert_eq!(private_place(&named).unwrap(), beneath);
        fs::create_dir(&beneath).unwrap();
        set(&beneath, 0o700);
        assert_eq!(private_place(&named).unwrap(), beneath);
        for ours in ["0c7e3f1b2a010d0f4c3a9d5ea1c7f6de", "0c7e3f1b2a010d0f4c3a9d5ea1c7f6de.sock"] {
            let ours = named.join(ours);
            fs::create_dir(&ours).unwrap();
            assert_eq!(private_place(&named).unwrap(), named, "overlays keep their place");
            fs::remove_dir(&ours).unwrap();
        }
        assert_eq!(private_place(&named).unwrap(), beneath);
        set(&beneath, 0o750);
        assert!(private_place(&named).unwrap_err().to_string().contains("chmod 700"));
        fs::remove_dir(&beneath).unwrap();
        std::os::unix::fs::symlink(folder.path(), &beneath).unwrap();
        private_place(&named).unwrap_err();
    }
}
