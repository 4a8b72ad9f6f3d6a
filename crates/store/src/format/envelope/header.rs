//! The first 64 bytes of every object.

use crate::format::codec::{Decoded, Malformed};
use crc_fast::{CrcAlgorithm, checksum};

/// The length of a header, in bytes.
pub const HEADER_BYTES: usize = 64;
/// What every object begins with. Not text, and changed by a transfer that "repairs" line ends.
pub const MAGIC: [u8; 8] = [0x89, b'C', b'B', b'R', 0x0d, 0x0a, 0x1a, 0x0a];
/// The only major version there is.
pub(super) const MAJOR: u8 = 1;
/// The newest minor version: says who wrote it, changes nothing for a reader.
pub(super) const MINOR: u8 = 0;

/// What an object is. The tags are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum ObjectKind {
    /// `store.v1`.
    Descriptor = 1,
    /// A tenant's wrapped key.
    TenantKey = 2,
    /// A domain's record.
    Domain = 3,
    /// A pack of blocks.
    DataPack = 4,
    /// A pack of map nodes and death lists.
    MetaPack = 5,
    /// A claim on a sequence number.
    Claim = 6,
    /// The verdict on a claim.
    Outcome = 7,
    /// A delete record.
    Delete = 8,
    /// The beginning of a chain's log, repeated in one object.
    Fold = 9,
    /// Healed slots of a pack of blocks.
    DataPatch = 10,
    /// Healed slots of a pack of map nodes.
    MetaPatch = 11,
    /// A retire record.
    Retire = 12,
    /// A fold of a retire log.
    RetireFold = 13,
    /// A note of the caller.
    Note = 14,
    /// The part of a tenant's key that maintenance needs.
    MaintenanceRing = 16,
    /// What is left of a tenant whose keys were destroyed.
    Shredded = 17,
}

/// A parsed header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// The stored tag of the [`ObjectKind`].
    pub(super) kind: u16,
    /// Which key sealed the object: 0 is the master key, others number the tenant's keys.
    pub(super) key_id: u32,
    /// Random for every object that was ever written, also for a rewrite of the same contents.
    pub(super) object: [u8; 16],
}

/// Why a header is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderError {
    /// The bytes are not a header.
    Malformed(Malformed),
    /// A newer release wrote it.
    TooNew(&'static str),
}

impl Header {
    /// The 64 bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.kind.to_le_bytes());
        bytes[10] = MAJOR;
        bytes[11] = MINOR;
        // 12..24: no feature flags are defined yet.
        bytes[24..28].copy_from_slice(&self.key_id.to_le_bytes());
        bytes[28..44].copy_from_slice(&self.object);
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the 64 bytes.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let malformed = |what| Err(HeaderError::Malformed(Malformed(what)));
        if bytes[..8] != MAGIC {
            return malformed("not an object of this program");
        }
        if u32_at(bytes, 60) != crc32c(&bytes[..60]) {
            return malformed("the header's checksum is wrong");
        }
        if bytes[10] != MAJOR {
            return Err(HeaderError::TooNew("its major version is unknown"));
        }
        if u32_at(bytes, 12) != 0 {
            return Err(HeaderError::TooNew("it uses a feature that older readers get wrong"));
        }
        let mut object = [0; 16];
        object.copy_from_slice(&bytes[28..44]);
        let kind = u16::from_le_bytes([bytes[8], bytes[9]]);
        Ok(Self { kind, key_id: u32_at(bytes, 24), object })
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// CRC-32C (Castagnoli) of `bytes`.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(crc).expect("a 32-bit checksum")
}

/// The first chunk of `bytes` as a header's bytes.
pub(super) fn first_header(bytes: &[u8]) -> Decoded<&[u8; HEADER_BYTES]> {
    bytes.first_chunk().ok_or(Malformed("shorter than a header"))
}
