//! Sealing and opening one slot.
//!
//! The seal binds the content to tenant, domain, pack, slot number, plain length
//! and codec, but not to the object it lies in: compaction moves slots verbatim.

use super::codec::{Decoded, Malformed};
use super::frame::Codec;
use super::id::PackRef;
use crate::crypto::{PackDek, SEAL_TAG_BYTES};

/// How much longer a sealed slot is than its encoded content.
pub const SLOT_OVERHEAD_BYTES: usize = SEAL_TAG_BYTES;
const AAD_BYTES: usize = 64;

/// What is known about a slot's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotHead {
    /// The number in the pack.
    pub slot: u32,
    /// How the content is encoded.
    pub codec: Codec,
    /// The content's length after decoding, in bytes.
    pub plain_len: u32,
}

/// Appends the sealed `encoded` to `out`.
pub fn seal_slot(dek: &PackDek, pack: &PackRef, head: SlotHead, encoded: &[u8], out: &mut Vec<u8>) {
    dek.seal(head.slot, &aad(pack, head), encoded, out);
}

/// Replaces `out` by the encoded content of `sealed`.
pub fn open_slot(
    dek: &PackDek,
    pack: &PackRef,
    head: SlotHead,
    sealed: &[u8],
    out: &mut Vec<u8>,
) -> Decoded<()> {
    let opened = dek.open(head.slot, &aad(pack, head), sealed, out);
    opened.ok_or(Malformed("a slot does not open"))
}

fn aad(pack: &PackRef, head: SlotHead) -> [u8; AAD_BYTES] {
    let mut aad = [0; AAD_BYTES];
    aad[..16].copy_from_slice(pack.domain.tenant.as_bytes());
    aad[16] = pack.domain.scope.tag();
    aad[17] = pack.kind.tag();
    aad[18] = head.codec as u8;
    aad[20..24].copy_from_slice(&pack.domain.epoch.to_le_bytes());
    aad[24..40].copy_from_slice(pack.domain.sharer.as_bytes());
    aad[40..56].copy_from_slice(&pack.id.0);
    aad[56..60].copy_from_slice(&head.slot.to_le_bytes());
    aad[60..].copy_from_slice(&head.plain_len.to_le_bytes());
    aad
}
