//! The maintenance key: who has it can list, account, delete and collect, and read no data.
//!
//! It is two of the master key's role keys. With them the *maintenance rings* open that lie beside
//! the tenants' keys: the role keys of a tenant that seal its log and the layout of its packs. What
//! opens a pack's slots – the data key, sealed with the role *wrap* – is not among them, nor is what
//! block ids are made with.

use std::fmt;
use std::path::Path;

use super::key_file;
use super::master::{MasterKey, MasterKeys};
use super::role::{KeyRing, Role, RoleKeys, Secret};
use crate::error::Result;

/// What a key file begins with; 128 hex digits and a line feed follow.
const FILE_PREFIX: &str = "cbr-maintenance-key-v1 ";

/// A part of the master key.
#[derive(Clone)]
pub struct MaintenanceKey {
    mac: Secret,
    maintenance: Secret,
}

/// What a maintenance key opens of one key of a tenant.
pub(crate) struct MaintenanceRing {
    pub(crate) metadata: Secret,
    pub(crate) maintenance: Secret,
}

impl MaintenanceKey {
    /// The part of `master` that maintenance needs.
    pub fn of(master: &MasterKey) -> Self {
        let keys = master.keys();
        let key = |role| {
            let key = keys.role_key(0, role).expect("the master key has all roles");
            Secret::new(*key)
        };
        Self { mac: key(Role::Mac), maintenance: key(Role::Maintenance) }
    }

    /// Reads a key file; `None` if it holds a key of another kind.
    ///
    /// # Errors
    /// [`crate::Error::KeyFile`], as for [`MasterKey::read_file`].
    pub fn read_file(path: &Path) -> Result<Option<Self>> {
        let text = key_file::read(path)?;
        if !text.starts_with(FILE_PREFIX) {
            return Ok(None);
        }
        let bytes = key_file::parse::<64>(&text, FILE_PREFIX)
            .ok_or_else(|| key_file::failed(path, "it is not a whole maintenance key"))?;
        let half = |at: usize| {
            let mut key = Secret::new([0; 32]);
            key.copy_from_slice(&bytes[at..at + 32]);
            key
        };
        Ok(Some(Self { mac: half(0), maintenance: half(32) }))
    }

    /// Writes a new key file with mode 0600, durably. An existing file is left alone.
    ///
    /// # Errors
    /// [`crate::Error::KeyFile`], also if the file is there already.
    pub fn write_new_file(&self, path: &Path) -> Result<()> {
        let mut bytes = zeroize::Zeroizing::new([0; 64]);
        bytes[..32].copy_from_slice(self.mac.as_ref());
        bytes[32..].copy_from_slice(self.maintenance.as_ref());
        key_file::write_new(path, FILE_PREFIX, bytes.as_ref())
    }

    /// The keys it consists of.
    pub(crate) fn keys(&self) -> MasterKeys {
        MasterKeys::of(RoleKeys::of_master_for_maintenance(
            self.mac.clone(),
            self.maintenance.clone(),
        ))
    }
}

impl fmt::Debug for MaintenanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaintenanceKey(..)")
    }
}

impl fmt::Debug for MaintenanceRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaintenanceRing(..)")
    }
}
