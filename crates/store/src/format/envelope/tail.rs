//! Reading the end of an object, and its sections one by one.

use super::header::{HEADER_BYTES, Header, HeaderError, ObjectKind, crc32c, first_header};
use super::section::{SECTIONS_MAX, SectionType, aad, hash128};
use crate::backend::Key;
use crate::crypto::{KeyRing, Role, SectionCipher, mac};
use crate::error::{Error, Result};
use crate::format::codec::{Decoded, Decoder, Malformed};

/// What every object ends with.
pub const TRAILER_MAGIC: [u8; 8] = [0x0a, 0x1a, 0x0a, 0x0d, b'R', b'B', b'C', 0x98];
pub(super) const ENTRY_BYTES: usize = 40;
pub(super) const TRAILER_BYTES: usize = 32;
/// A suffix of this length contains the whole footer, whatever the object.
pub const FOOTER_BYTES_MAX: usize = HEADER_BYTES + SECTIONS_MAX * ENTRY_BYTES + TRAILER_BYTES;
const MAC_BYTES: usize = 32;

/// What the end of an object says about it.
#[derive(Clone, Debug)]
pub struct Tail {
    header: Header,
    pub(super) header_bytes: [u8; HEADER_BYTES],
    pub(super) directory: Vec<Listed>,
}

/// Where a section lies in the object.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    pub(super) tag: u16,
    pub(super) role: u8,
    /// From the object's first byte.
    pub offset: u64,
    /// Stored bytes.
    pub length: u64,
    pub(super) hash: [u8; 16],
}

impl Tail {
    /// Reads the footer out of `suffix`, the last bytes of an object of `object_bytes` bytes.
    ///
    /// `suffix` has [`FOOTER_BYTES_MAX`] bytes or more, or is the whole object.
    pub fn read(
        object_bytes: u64,
        suffix: &[u8],
        kind: ObjectKind,
        key: &Key,
        keys: &dyn KeyRing,
    ) -> Result<Self> {
        let footer = split_footer(object_bytes, suffix).map_err(|wrong| damaged(key, wrong))?;
        let header_bytes = *first_header(footer).map_err(|wrong| damaged(key, wrong))?;
        let header = Header::decode(&header_bytes).map_err(|error| match error {
            HeaderError::Malformed(wrong) => damaged(key, wrong),
            HeaderError::TooNew(what) => {
                Error::Unsupported { object: key.to_string(), what: what.to_owned() }
            }
        })?;
        if header.kind != kind as u16 {
            return Err(Error::damaged(key, "an object of another kind lies here"));
        }
        if !keys.knows(header.key_id) {
            let object = key.to_string();
            return Err(match (keys.sealing_id(), header.key_id) {
                (0, _) | (_, 0) => Error::WrongKey { object },
                (_, key_id) => Error::UnknownKey { object, key_id },
            });
        }
        let directory = decode_directory(&footer[HEADER_BYTES..], object_bytes, footer.len())
            .map_err(|wrong| damaged(key, wrong))?;
        Ok(Self { header, header_bytes, directory })
    }

    /// The number of the key the object is sealed with.
    pub(in crate::format) const fn key_id(&self) -> u32 {
        self.header.key_id
    }

    /// Where a section lies.
    pub fn find(&self, section: SectionType) -> Decoded<Listed> {
        let found = self.directory.iter().find(|listed| listed.tag == section as u16);
        let listed = found.copied().ok_or(Malformed("a section is missing"))?;
        if listed.role != section.role() as u8 {
            return Err(Malformed("a section is protected in another way than its type is"));
        }
        Ok(listed)
    }

    /// Opens a section that was read from where [`Tail::find`] says.
    pub fn open_section(
        &self,
        section: SectionType,
        stored: &[u8],
        key: &Key,
        keys: &dyn KeyRing,
    ) -> Result<Vec<u8>> {
        let listed = self.find(section).map_err(|wrong| damaged(key, wrong))?;
        if stored.len() as u64 != listed.length || hash128(stored) != listed.hash {
            return Err(Error::damaged(key, "a section's hash is wrong"));
        }
        let role = section.role();
        if role == Role::Plain {
            return Ok(stored.to_vec());
        }
        let no_key = || Error::NoKey { object: key.to_string() };
        let role_key = keys.role_key(self.header.key_id, role).ok_or_else(no_key)?;
        let aad = aad(&self.header_bytes, section, key);
        if role != Role::Mac {
            let cipher = SectionCipher::new(role_key, &self.header.object, section as u16);
            let opened = cipher.open(&aad, stored);
            return opened.ok_or_else(|| Error::damaged(key, "a section does not open"));
        }
        let split = stored.len().checked_sub(MAC_BYTES).and_then(|at| stored.split_at_checked(at));
        let (plain, code) = split.ok_or_else(|| Error::damaged(key, "a section is cut short"))?;
        let expected = mac(role_key, &[&aad, plain]);
        match aws_lc_rs::constant_time::verify_slices_are_equal(&expected, code) {
            Ok(()) => Ok(plain.to_vec()),
            Err(_) => Err(Error::WrongKey { object: key.to_string() }),
        }
    }
}

pub(super) fn damaged(key: &Key, wrong: Malformed) -> Error {
    Error::damaged(key, wrong.0)
}

/// The footer without the total checksum and the magic behind it.
fn split_footer(object_bytes: u64, suffix: &[u8]) -> Decoded<&[u8]> {
    let start =
        suffix.len().checked_sub(TRAILER_BYTES).ok_or(Malformed("shorter than a trailer"))?;
    let mut trailer = Decoder::new(&suffix[start..]);
    let said_object_bytes = trailer.u64()?;
    let footer_bytes = trailer.u32()? as usize;
    let crc = trailer.u32()?;
    let _total = trailer.u64()?;
    if trailer.array()? != TRAILER_MAGIC {
        return Err(Malformed("it does not end like an object"));
    }
    if said_object_bytes != object_bytes {
        return Err(Malformed("it is longer or shorter than it was"));
    }
    let start =
        suffix.len().checked_sub(footer_bytes).ok_or(Malformed("the footer is cut short"))?;
    let footer = &suffix[start..];
    let covered = footer.len().checked_sub(20).ok_or(Malformed("the footer is cut short"))?;
    if crc32c(&footer[..covered]) != crc {
        return Err(Malformed("the footer's checksum is wrong"));
    }
    Ok(footer)
}

/// `rest` is the footer behind the copy of the header.
fn decode_directory(rest: &[u8], object_bytes: u64, footer_bytes: usize) -> Decoded<Vec<Listed>> {
    let entries = rest.len().checked_sub(TRAILER_BYTES).ok_or(Malformed("no directory"))?;
    if !entries.is_multiple_of(ENTRY_BYTES) || entries / ENTRY_BYTES > SECTIONS_MAX {
        return Err(Malformed("the directory's length is wrong"));
    }
    let mut from = Decoder::new(&rest[..entries]);
    let mut directory = Vec::with_capacity(entries / ENTRY_BYTES);
    let mut end = HEADER_BYTES as u64;
    let mut last_tag = 0;
    while from.left() > 0 {
        let (tag, role) = (from.u16()?, from.u8()?);
        if from.array()? != [0; 5] {
            return Err(Malformed("reserved bytes are not zero"));
        }
        let listed =
            Listed { tag, role, offset: from.u64()?, length: from.u64()?, hash: from.array()? };
        if listed.tag <= last_tag || listed.offset != end {
            return Err(Malformed("sections are not in order, back to back"));
        }
        last_tag = listed.tag;
        end = end.checked_add(listed.length).ok_or(Malformed("a section is too long"))?;
        directory.push(listed);
    }
    if end.checked_add(footer_bytes as u64) != Some(object_bytes) {
        return Err(Malformed("the sections do not fill the object"));
    }
    Ok(directory)
}
