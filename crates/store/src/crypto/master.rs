//! The master key: who has it can read the store, who loses it cannot.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use cbr_env::{Random, RandomExt};
use zeroize::Zeroizing;

use super::role::{KeyRing, Role, RoleKeys, Secret, derive};
use crate::error::{Error, Result};

/// What a key file begins with; 64 hex digits and a line feed follow.
const FILE_PREFIX: &str = "cbr-master-key-v1 ";
const FILE_BYTES_MAX: u64 = 4096;

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
    /// [`Error::KeyFile`].
    pub fn read_file(path: &Path) -> Result<Self> {
        let fail = |what: &str| key_file(path, what);
        let file = File::open(path).map_err(|e| fail(&format!("cannot open it: {e}")))?;
        let about = file.metadata().map_err(|e| fail(&format!("cannot look at it: {e}")))?;
        if about.mode() & 0o077 != 0 {
            return Err(fail("others than its owner may access it; set its mode to 0600"));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|e| fail(&format!("cannot read it: {e}")))?;
        let digits = text.trim_end().strip_prefix(FILE_PREFIX);
        let mut key = Zeroizing::new([0; 32]);
        digits
            .and_then(|digits| hex::decode_to_slice(digits, key.as_mut()).ok())
            .ok_or_else(|| fail("it is not a master key"))?;
        Ok(Self(key))
    }

    /// Writes a new key file with mode 0600, durably. An existing file is left alone.
    ///
    /// # Errors
    /// [`Error::KeyFile`], also if the file is there already.
    pub fn write_new_file(&self, path: &Path) -> Result<()> {
        let fail = |what: &str| key_file(path, what);
        let digits = Zeroizing::new(hex::encode(self.0.as_ref()));
        let text = Zeroizing::new(format!("{FILE_PREFIX}{}\n", digits.as_str()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| fail(&format!("cannot create it: {e}")))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_parent(path))
            .map_err(|e| fail(&format!("cannot write it: {e}")))
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

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn key_file(path: &Path, what: &str) -> Error {
    Error::KeyFile { file: path.display().to_string(), what: what.to_owned() }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// What the master key seals with: the store's descriptor and the tenants' keys.
pub struct MasterKeys(RoleKeys);

impl KeyRing for MasterKeys {
    fn key_id(&self) -> u32 {
        0
    }

    fn role_key(&self, role: Role) -> Option<&[u8; 32]> {
        self.0.get(role)
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys(..)")
    }
}
