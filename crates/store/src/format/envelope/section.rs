//! What the sections of an object are, and what binds them to their place.

use super::header::HEADER_BYTES;
use crate::backend::Key;
use crate::crypto::Role;

/// The most sections an object has.
pub const SECTIONS_MAX: usize = 16;

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
    /// Which blocks of which slots a patch has.
    Healed = 8,
    /// The part of a tenant's key that maintenance needs.
    MaintenanceRing = 16,
    /// Who destroyed a tenant's keys, and why.
    Shredded = 17,
}

impl SectionType {
    /// How the section is protected. Fixed by its type, so that nobody can weaken it in a directory.
    pub const fn role(self) -> Role {
        match self {
            Self::Descriptor | Self::Shredded => Role::Mac,
            Self::TenantKey | Self::Dek => Role::Wrap,
            Self::Record | Self::Identity | Self::Healed => Role::Metadata,
            Self::Slots => Role::Plain,
            Self::Layout | Self::MaintenanceRing => Role::Maintenance,
        }
    }
}

/// What a section's seal is bound to besides its content.
pub(super) fn aad(header: &[u8; HEADER_BYTES], section: SectionType, key: &Key) -> Vec<u8> {
    let mut aad = Vec::with_capacity(HEADER_BYTES + 2 + key.as_str().len());
    aad.extend_from_slice(header);
    aad.extend_from_slice(&(section as u16).to_le_bytes());
    aad.extend_from_slice(key.as_str().as_bytes());
    aad
}

/// The first half of a hash.
pub(super) fn shorten(hash: &blake3::Hash) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    short
}

/// The first half of the BLAKE3 of bytes that come in pieces.
pub(crate) fn hash128_of(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    shorten(&hasher.finalize())
}

/// The first half of the BLAKE3 of `bytes`.
pub(crate) fn hash128(bytes: &[u8]) -> [u8; 16] {
    shorten(&blake3::hash(bytes))
}
