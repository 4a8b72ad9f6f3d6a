//! What the operator decides about exports. Numbers and paths only.

use std::path::PathBuf;

use cbr_nbd::ServerTls;

/// Settings of exports.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// Where sockets are, and what is written to writable exports. Made if need be, for its
    /// owner alone. Sockets have short names only if this is short.
    pub directory: PathBuf,
    /// Exports this machine has open at the same time.
    pub exports_max: usize,
    /// Connections of all clients together.
    pub connections_max: usize,
    /// What one writable export may take on disk.
    pub overlay_bytes_max: u64,
    /// Exports are given out over TCP too; none: on sockets of this machine only.
    pub network: Option<ExportNetwork>,
}

/// How exports are given out to other machines.
#[derive(Clone, Debug)]
pub struct ExportNetwork {
    /// Host and port by which clients reach this machine.
    pub public_address: String,
    /// Encrypts, and says who may enter.
    pub tls: ServerTls,
}

impl ExportSettings {
    /// The usual settings, in this directory.
    pub fn within(directory: PathBuf) -> Self {
        Self {
            directory,
            exports_max: 16,
            connections_max: 32,
            overlay_bytes_max: 64 << 30,
            network: None,
        }
    }
}
