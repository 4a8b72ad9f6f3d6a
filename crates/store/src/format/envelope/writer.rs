//! Putting an object together.

use cbr_env::{Random, RandomExt};
use crc_fast::{CrcAlgorithm, Digest};

use super::header::{HEADER_BYTES, Header, ObjectKind, crc32c};
use super::section::{SectionType, aad, shorten};
use super::tail::{ENTRY_BYTES, Listed, TRAILER_BYTES, TRAILER_MAGIC};
use crate::backend::Key;
use crate::crypto::{KeyRing, Role, SEAL_TAG_BYTES, SectionCipher, mac};

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

/// Assembles an object from sections that may come in pieces.
pub(in crate::format) struct Assembly {
    header: Header,
    header_bytes: [u8; HEADER_BYTES],
    directory: Vec<Listed>,
    total: Digest,
    end: u64,
    current: blake3::Hasher,
    current_start: u64,
}

impl Assembly {
    pub(in crate::format) fn new(kind: ObjectKind, keys: &dyn KeyRing, object: [u8; 16]) -> Self {
        let header = Header { kind: kind as u16, key_id: keys.sealing_id(), object };
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

    pub(in crate::format) const fn header_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.header_bytes
    }

    /// The stored form of a section's plain content.
    pub(in crate::format) fn protect(
        &self,
        section: SectionType,
        mut plain: Vec<u8>,
        key: &Key,
        keys: &dyn KeyRing,
    ) -> Vec<u8> {
        let role = section.role();
        if role == Role::Plain {
            return plain;
        }
        // Sealing without the key must not become not sealing.
        let role_key = keys
            .role_key(self.header.key_id, role)
            .expect("nothing is begun that needs a key which is not there: `Repository::begin`");
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
    pub(in crate::format) fn absorb(&mut self, stored: &[u8]) {
        self.total.update(stored);
        self.current.update(stored);
        self.end += stored.len() as u64;
    }

    /// Ends the current section.
    pub(in crate::format) fn close(&mut self, section: SectionType) {
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

    pub(in crate::format) fn add(&mut self, section: SectionType, stored: &[u8]) {
        self.absorb(stored);
        self.close(section);
    }

    /// The footer.
    pub(in crate::format) fn finish(mut self) -> Vec<u8> {
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
