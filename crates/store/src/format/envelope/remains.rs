//! What can still be opened of an object whose header, footer or checksums are damaged.
//!
//! Nothing of it is believed: it is guessed where a section may lie, and a guess is right if and
//! only if the section's seal opens, which binds it to the header and to the object's key. What is
//! written twice (the header, and where one section ends and the next begins) survives that one of
//! the two is damaged.

use super::header::{HEADER_BYTES, Header, ObjectKind};
use super::section::{SectionType, aad};
use super::tail::{ENTRY_BYTES, TRAILER_BYTES, TRAILER_MAGIC};
use crate::backend::Key;
use crate::crypto::{KeyRing, Role, SectionCipher};

/// Where a directory entry says that its section lies, true or not.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) struct Said {
    pub(in crate::format) offset: u64,
    pub(in crate::format) length: u64,
}

/// A section that opened.
pub(in crate::format) struct Opened {
    pub(in crate::format) content: Vec<u8>,
    /// The number of the key it was sealed with.
    pub(in crate::format) sealed_by: u32,
}

/// An object, looked at without belief.
pub(in crate::format) struct Remains<'a> {
    bytes: &'a [u8],
    key: &'a Key,
    footer_bytes: usize,
    headers: Vec<(Header, [u8; HEADER_BYTES])>,
    footers: Vec<usize>,
}

impl<'a> Remains<'a> {
    /// Of an object of `kind` with so many sections.
    pub(in crate::format) fn of(
        bytes: &'a [u8],
        sections: usize,
        kind: ObjectKind,
        key: &'a Key,
    ) -> Self {
        let footer_bytes = HEADER_BYTES + sections * ENTRY_BYTES + TRAILER_BYTES;
        let (headers, footers) = (Vec::new(), Vec::new());
        let mut remains = Self { bytes, key, footer_bytes, headers, footers };
        // Where it ends, and where it ended if something was added behind.
        let last_magic = bytes.windows(8).rposition(|window| window == TRAILER_MAGIC);
        let ends = [Some(bytes.len()), last_magic.map(|at| at + 8)];
        for footer in ends.into_iter().flatten().filter_map(|end| end.checked_sub(footer_bytes)) {
            if !remains.footers.contains(&footer) {
                remains.footers.push(footer);
            }
        }
        let starts: Vec<usize> = std::iter::once(0).chain(remains.footers.clone()).collect();
        for start in starts {
            let found = bytes.get(start..).and_then(<[u8]>::first_chunk::<HEADER_BYTES>);
            let Some((header, found)) = found.and_then(|at| Some((Header::decode(at).ok()?, at)))
            else {
                continue;
            };
            if header.kind == kind as u16 && remains.headers.iter().all(|(_, one)| one != found) {
                remains.headers.push((header, *found));
            }
        }
        remains
    }

    /// Where the footer may begin: behind the last section.
    pub(in crate::format) fn footers(&self) -> &[usize] {
        &self.footers
    }

    /// What the directory behind `footer` says, entry by entry.
    pub(in crate::format) fn said(&self, footer: usize) -> Vec<Said> {
        let start = footer + HEADER_BYTES;
        let end = footer + self.footer_bytes - TRAILER_BYTES;
        let entries = self.bytes.get(start..end).unwrap_or_default();
        let word = |entry: &[u8], at: usize| {
            let bytes = entry.get(at..).and_then(<[u8]>::first_chunk::<8>);
            u64::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        let said = |entry: &[u8]| Said { offset: word(entry, 8), length: word(entry, 16) };
        entries.chunks_exact(ENTRY_BYTES).map(said).collect()
    }

    /// The content of a sealed section, if it lies from `start` to before `end`.
    pub(in crate::format) fn open(
        &self,
        section: SectionType,
        (start, end): (usize, usize),
        keys: &dyn KeyRing,
    ) -> Option<Opened> {
        let stored = self.bytes.get(start..end)?;
        let role = section.role();
        if matches!(role, Role::Plain | Role::Mac) {
            return None;
        }
        self.headers.iter().find_map(|(header, header_bytes)| {
            let role_key = keys.role_key(header.key_id, role)?;
            let aad = aad(header_bytes, section, self.key);
            let cipher = SectionCipher::new(role_key, &header.object, section as u16);
            let sealed_by = header.key_id;
            cipher.open(&aad, stored).map(|content| Opened { content, sealed_by })
        })
    }
}
