//! The envelope around every object: header, sections, footer.
//!
//! Every byte is covered: a section by the code or seal of its role and by its
//! hash, the rest by checksums; and every seal is bound to the header and to
//! the key the object lies under, so nothing can change places (P4, P31). The
//! footer alone says where the sections are, so a reader that needs only the
//! tables of a pack reads only its tail.

use cbr_env::{Random, RandomExt};
use crc_fast::{CrcAlgorithm, Digest};

use super::codec::{Decoded, Decoder, Malformed};
use super::header::{HEADER_BYTES, Header, HeaderError, crc32c, first_header};
pub use super::header::{MAGIC, ObjectKind};
use crate::backend::Key;
use crate::crypto::{KeyRing, Role, SEAL_TAG_BYTES, SectionCipher, mac};
use crate::error::{Error, Result};

/// What every object ends with.
pub const TRAILER_MAGIC: [u8; 8] = [0x0a, 0x1a, 0x0a, 0x0d, b'R', b'B', b'C', 0x98];
/// The most sections an object has.
pub const SECTIONS_MAX: usize = 16;
const ENTRY_BYTES: usize = 40;
const TRAILER_BYTES: usize = 32;
/// A suffix of this length contains the whole footer, whatever the object.
pub const FOOTER_BYTES_MAX: usize = HEADER_BYTES + SECTIONS_MAX * ENTRY_BYTES + TRAILER_BYTES;
const MAC_BYTES: usize = 32;

/// What a section holds. The tags are stored; each type has one [`Role`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum SectionType {
    /// The store's descriptor.
    Descriptor = 1,
    /// A tenant's key.
    TenantKey = 2,
    /// The one section of all other records.
    Record = 3,
    /// The slots of a pack, back to back, each sealed on its own.
    Slots = 4,
    /// Where a pack's slots begin and how many blocks they have.
    Layout = 5,
    /// Codecs, plain lengths and block ids of a pack.
    Identity = 6,
    /// The pack's data key.
    Dek = 7,
}

impl SectionType {
    /// How the section is protected. Fixed by its type, so that nobody can weaken it in a directory.
    pub const fn role(self) -> Role {
        match self {
            Self::Descriptor => Role::Mac,
            Self::TenantKey | Self::Dek => Role::Wrap,
            Self::Record | Self::Identity => Role::Metadata,
            Self::Slots => Role::Plain,
            Self::Layout => Role::Maintenance,
        }
    }
}

/// Builds an object whose sections are all in memory.
pub struct Writer<'a> {
    keys: &'a dyn KeyRing,
    kind: ObjectKind,
    object: [u8; 16],
    sections: Vec<(SectionType, Vec<u8>)>,
}

impl<'a> Writer<'a> {
    /// An object without sections.
    pub fn new(kind: ObjectKind, keys: &'a dyn KeyRing, random: &dyn Random) -> Self {
        Self { keys, kind, object: random.bytes(), sections: Vec::new() }
    }

    /// Adds a section with this (plain) content.
    #[must_use]
    pub fn section(mut self, section: SectionType, plain: Vec<u8>) -> Self {
        self.sections.push((section, plain));
        self
    }

    /// The object's bytes, to be put under `key` and nowhere else.
    pub fn finish(self, key: &Key) -> Vec<u8> {
        let mut assembly = Assembly::new(self.kind, self.keys, self.object);
        let mut bytes = assembly.header_bytes().to_vec();
        for (section, plain) in self.sections {
            let stored = assembly.protect(section, plain, key, self.keys);
            assembly.add(section, &stored);
            bytes.extend_from_slice(&stored);
        }
        bytes.extend_from_slice(&assembly.finish());
        bytes
    }
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("kind", &self.kind).finish_non_exhaustive()
    }
}

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

/// What the end of an object says about it.
#[derive(Clone, Debug)]
pub struct Tail {
    header: Header,
    header_bytes: [u8; HEADER_BYTES],
    directory: Vec<Listed>,
}

/// Where a section lies in the object.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    tag: u16,
    role: u8,
    /// From the object's first byte.
    pub offset: u64,
    /// Stored bytes.
    pub length: u64,
    hash: [u8; 16],
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
        if header.key_id != keys.key_id() {
            return Err(Error::WrongKey { object: key.to_string() });
        }
        let directory = decode_directory(&footer[HEADER_BYTES..], object_bytes, footer.len())
            .map_err(|wrong| damaged(key, wrong))?;
        Ok(Self { header, header_bytes, directory })
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
        let Some(role_key) = keys.role_key(role) else { return Ok(stored.to_vec()) };
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

/// Assembles an object from sections that may come in pieces.
pub(super) struct Assembly {
    header: Header,
    header_bytes: [u8; HEADER_BYTES],
    directory: Vec<Listed>,
    total: Digest,
    end: u64,
    current: blake3::Hasher,
    current_start: u64,
}

impl Assembly {
    pub(super) fn new(kind: ObjectKind, keys: &dyn KeyRing, object: [u8; 16]) -> Self {
        let header = Header { kind: kind as u16, key_id: keys.key_id(), object };
        let header_bytes = header.encode();
        let mut total = Digest::new(CrcAlgorithm::Crc64Nvme);
        total.update(&header_bytes);
        let end = HEADER_BYTES as u64;
        let current = blake3::Hasher::new();
        Self {
            header,
            header_bytes,
            directory: Vec::new(),
            total,
            end,
            current,
            current_start: end,
        }
    }

    pub(super) const fn header_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.header_bytes
    }

    /// The stored form of a section's plain content.
    pub(super) fn protect(
        &self,
        section: SectionType,
        mut plain: Vec<u8>,
        key: &Key,
        keys: &dyn KeyRing,
    ) -> Vec<u8> {
        let role = section.role();
        let Some(role_key) = keys.role_key(role) else { return plain };
        let aad = aad(&self.header_bytes, section, key);
        if role == Role::Mac {
            let code = mac(role_key, &[&aad, &plain]);
            plain.extend_from_slice(&code);
            return plain;
        }
        plain.reserve_exact(SEAL_TAG_BYTES);
        SectionCipher::new(role_key, &self.header.object, section as u16).seal(&aad, plain)
    }

    /// More stored bytes of the current section.
    pub(super) fn absorb(&mut self, stored: &[u8]) {
        self.total.update(stored);
        self.current.update(stored);
        self.end += stored.len() as u64;
    }

    /// Ends the current section.
    pub(super) fn close(&mut self, section: SectionType) {
        let listed = Listed {
            tag: section as u16,
            role: section.role() as u8,
            offset: self.current_start,
            length: self.end - self.current_start,
            hash: shorten(&self.current.finalize()),
        };
        self.directory.push(listed);
        self.current.reset();
        self.current_start = self.end;
    }

    pub(super) fn add(&mut self, section: SectionType, stored: &[u8]) {
        self.absorb(stored);
        self.close(section);
    }

    /// The footer.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = HEADER_BYTES + self.directory.len() * ENTRY_BYTES + TRAILER_BYTES;
        let mut footer = Vec::with_capacity(length);
        footer.extend_from_slice(&self.header_bytes);
        for listed in &self.directory {
            footer.extend_from_slice(&listed.tag.to_le_bytes());
            footer.extend_from_slice(&[listed.role, 0, 0, 0, 0, 0]);
            footer.extend_from_slice(&listed.offset.to_le_bytes());
            footer.extend_from_slice(&listed.length.to_le_bytes());
            footer.extend_from_slice(&listed.hash);
        }
        let object_bytes = self.end + length as u64;
        footer.extend_from_slice(&object_bytes.to_le_bytes());
        let footer_bytes = u32::try_from(length).expect("a footer has less than a kibibyte");
        footer.extend_from_slice(&footer_bytes.to_le_bytes());
        let crc = crc32c(&footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        self.total.update(&footer);
        footer.extend_from_slice(&self.total.finalize().to_le_bytes());
        footer.extend_from_slice(&TRAILER_MAGIC);
        footer
    }
}

fn damaged(key: &Key, wrong: Malformed) -> Error {
    Error::damaged(key, wrong.0)
}

fn aad(header: &[u8; HEADER_BYTES], section: SectionType, key: &Key) -> Vec<u8> {
    let mut aad = Vec::with_capacity(HEADER_BYTES + 2 + key.as_str().len());
    aad.extend_from_slice(header);
    aad.extend_from_slice(&(section as u16).to_le_bytes());
    aad.extend_from_slice(key.as_str().as_bytes());
    aad
}

fn shorten(hash: &blake3::Hash) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    short
}

/// The first half of the BLAKE3 of `bytes`.
pub(crate) fn hash128(bytes: &[u8]) -> [u8; 16] {
    shorten(&blake3::hash(bytes))
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(length)?).ok()?;
    bytes.get(start..end)
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
