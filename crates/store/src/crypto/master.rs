//! The master key: who has it can read the store, who loses it cannot.

use std::fmt;
use std::path::Path;

use cbr_env::{Random, RandomExt};
use zeroize::Zeroizing;

use super::key_file;
use super::role::{KeyRing, Role, RoleKeys, Secret, derive};
use crate::error::Result;

/// What a key file begins with; 64 hex digits and a line feed follow.
const FILE_PREFIX: &str = "cbr-master-key-v1 ";

/// Thirty-two random bytes.
#[derive(Clone)]
pub struct MasterKey(Secret);

impl MasterKey {
    /// A new random key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random.bytes().into())
    }

    /// A key that the caller keeps.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// Reads a key file. It must belong to its owner alone (mode 0600 or less).
    ///
    /// # Errors
    /// [`crate::Error::KeyFile`].
    pub fn read_file(path: &Path) -> Result<Self> {
        let text = key_file::read(path)?;
        key_file::parse(&text, FILE_PREFIX)
            .map(Self)
            .ok_or_else(|| key_file::failed(path, "it is not a master key"))
    }

    /// Writes a new key file with mode 0600, durably. An existing file is left alone.
    ///
    /// # Errors
    /// [`crate::Error::KeyFile`], also if the file is there already.
    pub fn write_new_file(&self, path: &Path) -> Result<()> {
        key_file::write_new(path, FILE_PREFIX, self.0.as_ref())
    }

    /// The key's bytes, for a copy in another form that is kept as safe as the file.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// A key for the caller's own use, for example to seal secrets outside the store.
    /// Another `purpose` gives an unrelated key.
    pub fn derived(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        derive(&self.0, b"cbr/v1/outside", &[purpose.as_bytes()])
    }

    /// The keys derived from it.
    pub fn keys(&self) -> MasterKeys {
        MasterKeys(RoleKeys::derive(&self.0, b"master"))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// What the master key seals with: the store's descriptor and the tenants' keys.
pub struct MasterKeys(RoleKeys);

impl MasterKeys {
    pub(super) const fn of(roles: RoleKeys) -> Self {
        Self(roles)
    }

    /// Whether tenants' keys open with it, or only their maintenance rings.
    pub(crate) fn opens_tenants(&self) -> bool {
        self.0.get(Role::Wrap).is_some()
    }
}

impl KeyRing for MasterKeys {
    fn sealing_id(&self) -> u32 {
        0
    }

    fn knows(&self, key_id: u32) -> bool {
        key_id == 0
    }

    fn role_key(&self, key_id: u32, role: Role) -> Option<&[u8; 32]> {
        if key_id == 0 { self.0.get(role) } else { None }
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys(..)")
    }
}
