//! Reading a whole object.

use crc_fast::CrcAlgorithm;

use super::header::{ObjectKind, first_header};
use super::section::{SectionType, hash128};
use super::tail::{Tail, damaged};
use crate::backend::Key;
use crate::crypto::KeyRing;
use crate::error::Result;
use crate::format::codec::{Decoded, Malformed};

/// A whole object whose every byte was checked.
#[derive(Debug)]
pub struct Reader<'a> {
    tail: Tail,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks all checksums and hashes of the object found under `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Unsupported`], [`Error::WrongKey`].
    pub fn open(bytes: &'a [u8], kind: ObjectKind, key: &Key, keys: &dyn KeyRing) -> Result<Self> {
        let tail = Tail::read(bytes.len() as u64, bytes, kind, key, keys)?;
        verify_whole(bytes, &tail).map_err(|wrong| damaged(key, wrong))?;
        Ok(Self { tail, bytes })
    }

    /// The number of the key the object is sealed with.
    pub(in crate::format) const fn key_id(&self) -> u32 {
        self.tail.key_id()
    }

    /// The opened content of a section.
    pub fn section(&self, section: SectionType, key: &Key, keys: &dyn KeyRing) -> Result<Vec<u8>> {
        let stored = self.stored(section).map_err(|wrong| damaged(key, wrong))?;
        self.tail.open_section(section, stored, key, keys)
    }

    /// The bytes of a section as they are stored.
    pub fn stored(&self, section: SectionType) -> Decoded<&'a [u8]> {
        let listed = self.tail.find(section)?;
        slice(self.bytes, listed.offset, listed.length).ok_or(Malformed("a section is cut short"))
    }
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(length)?).ok()?;
    bytes.get(start..end)
}

fn verify_whole(bytes: &[u8], tail: &Tail) -> Decoded<()> {
    if first_header(bytes)? != &tail.header_bytes {
        return Err(Malformed("the header differs from its copy"));
    }
    let at = bytes.len().checked_sub(16).ok_or(Malformed("shorter than a trailer"))?;
    let total = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &bytes[..at]);
    if bytes[at..at + 8] != total.to_le_bytes() {
        return Err(Malformed("the total checksum is wrong"));
    }
    for listed in &tail.directory {
        let stored = slice(bytes, listed.offset, listed.length);
        if stored.map(hash128) != Some(listed.hash) {
            return Err(Malformed("a section's hash is wrong"));
        }
    }
    Ok(())
}
