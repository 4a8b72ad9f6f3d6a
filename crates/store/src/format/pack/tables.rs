//! The tables at a pack's end: where its slots are, and what is in them.

use zeroize::Zeroizing;

use super::index::PackIndex;
use crate::backend::Key;
use crate::crypto::{BlockId, PackDek};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::{HEADER_BYTES, ObjectKind};
use crate::format::frame::Codec;
use crate::format::id::{PackKind, PackRef};
use crate::format::slot::{SLOT_OVERHEAD_BYTES, SlotHead};
use crate::format::{
    BLOCK_BYTES, FRAME_BLOCKS_MAX, PACK_BLOCKS_MAX, PACK_BYTES_MAX, PACK_SLOTS_MAX,
    SLOT_PLAIN_BYTES_MAX,
};

/// No tables within the format's limits are longer, all together.
pub(super) const TABLES_BYTES_MAX: usize = PACK_SLOTS_MAX * 24 + PACK_BLOCKS_MAX * 32 + 64 * 1024;
const HEADER: u64 = HEADER_BYTES as u64;

/// A slot as the tables of its pack describe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotEntry {
    /// Number, codec and plain length.
    pub head: SlotHead,
    /// Where the sealed bytes begin in the object.
    pub offset: u64,
    /// How many sealed bytes there are.
    pub stored_bytes: u32,
    /// Where the ids of its blocks begin in the pack's list.
    pub(super) first_id: u32,
    /// How many blocks (1 in metadata packs).
    pub blocks: u16,
}

/// The opened tables, not yet decoded.
pub(super) struct Tables {
    pub(super) layout: Vec<u8>,
    pub(super) identity: Vec<u8>,
    pub(super) dek: Vec<u8>,
    /// The number of the key they were sealed with.
    pub(super) sealed_by: u32,
}

/// Which object is read.
#[derive(Clone, Copy)]
pub(super) struct What<'a> {
    pub(super) pack: &'a PackRef,
    /// The generation, or the number of the patch.
    pub(super) number: u32,
    pub(super) key: &'a Key,
    pub(super) kind: ObjectKind,
}

impl Tables {
    pub(super) fn decode(self, what: What<'_>, slots_bytes: u64) -> Decoded<PackIndex> {
        let What { pack, number, key, .. } = what;
        let dek = Zeroizing::new(self.dek);
        let dek: [u8; 32] =
            dek.as_slice().try_into().map_err(|_| Malformed("the data key's length is wrong"))?;
        let dek = PackDek::from_bytes(Zeroizing::new(dek));
        let mut slots = decode_layout(&self.layout)?;
        let ids = decode_identity(&self.identity, &mut slots)?;
        for entry in &slots {
            check_slot(pack.kind, entry)?;
        }
        let end = slots.last().map_or(0, |e| e.offset + u64::from(e.stored_bytes) - HEADER);
        if end != slots_bytes {
            return Err(Malformed("the slots do not fill their section"));
        }
        let key = key.clone();
        let sealed_by = self.sealed_by;
        Ok(PackIndex { pack: *pack, key, generation: number, sealed_by, dek, slots, ids })
    }
}

pub(super) fn encode_layout(slots: &[SlotEntry]) -> Vec<u8> {
    let mut to = Encoder::new();
    to.count(slots.len());
    let mut next = 0;
    for entry in slots {
        to.varint(u64::from(entry.head.slot - next));
        to.varint(entry.stored_bytes.into());
        to.varint(entry.blocks.into());
        next = entry.head.slot + 1;
    }
    to.into_bytes()
}

pub(super) fn decode_layout(bytes: &[u8]) -> Decoded<Vec<SlotEntry>> {
    let mut from = Decoder::new(bytes);
    let count = from.count(PACK_SLOTS_MAX, 3)?;
    let mut slots = Vec::with_capacity(count);
    let (mut next, mut offset, mut first_id) = (0u32, HEADER, 0u32);
    for _ in 0..count {
        let slot =
            from.varint_u32()?.checked_add(next).ok_or(Malformed("slot number too large"))?;
        let stored_bytes = from.varint_u32()?;
        let blocks = u16::try_from(from.varint()?).map_err(|_| Malformed("too many blocks"))?;
        let head = SlotHead { slot, codec: Codec::None, plain_len: 0 };
        slots.push(SlotEntry { head, offset, stored_bytes, first_id, blocks });
        if slot as usize >= PACK_SLOTS_MAX {
            return Err(Malformed("a slot's number is too large"));
        }
        next = slot + 1;
        offset += u64::from(stored_bytes);
        first_id += u32::from(blocks);
        if first_id as usize > PACK_BLOCKS_MAX || offset > HEADER + PACK_BYTES_MAX {
            return Err(Malformed("the pack is too large"));
        }
    }
    from.finish()?;
    Ok(slots)
}

pub(super) fn encode_identity(slots: &[SlotEntry], ids: &[BlockId]) -> Vec<u8> {
    let mut to = Encoder::onto(Vec::with_capacity(slots.len() * 5 + ids.len() * 32 + 8));
    for entry in slots {
        to.u8(entry.head.codec as u8);
        to.varint(entry.head.plain_len.into());
    }
    for id in ids {
        to.raw(&id.0);
    }
    to.into_bytes()
}

fn decode_identity(bytes: &[u8], slots: &mut [SlotEntry]) -> Decoded<Vec<BlockId>> {
    let mut from = Decoder::new(bytes);
    let mut blocks = 0;
    for entry in &mut *slots {
        entry.head.codec = Codec::from_tag(from.u8()?)?;
        entry.head.plain_len = from.varint_u32()?;
        blocks += usize::from(entry.blocks);
    }
    let ids = from.raw(blocks * 32)?;
    from.finish()?;
    Ok(ids.as_chunks::<32>().0.iter().map(|id| BlockId(*id)).collect())
}

/// The rules a slot of a pack of this kind keeps.
pub(super) fn check_slot(kind: PackKind, entry: &SlotEntry) -> Decoded<()> {
    let (blocks, plain) = (usize::from(entry.blocks), entry.head.plain_len as usize);
    let is_sane = match kind {
        PackKind::Data => (1..=FRAME_BLOCKS_MAX).contains(&blocks) && plain == blocks * BLOCK_BYTES,
        PackKind::Meta => blocks == 1 && (1..=SLOT_PLAIN_BYTES_MAX).contains(&plain),
    };
    if !is_sane || entry.head.slot as usize >= PACK_SLOTS_MAX {
        return Err(Malformed("a slot is outside the limits"));
    }
    let stored = entry.stored_bytes as usize;
    let fits = match entry.head.codec {
        Codec::None => stored == plain + SLOT_OVERHEAD_BYTES,
        Codec::Zstd => (SLOT_OVERHEAD_BYTES + 1..plain + SLOT_OVERHEAD_BYTES).contains(&stored),
    };
    if fits { Ok(()) } else { Err(Malformed("a slot's stored size cannot be")) }
}

impl PackKind {
    pub(super) const fn object_kind(self) -> ObjectKind {
        match self {
            Self::Data => ObjectKind::DataPack,
            Self::Meta => ObjectKind::MetaPack,
        }
    }

    pub(super) const fn patch_kind(self) -> ObjectKind {
        match self {
            Self::Data => ObjectKind::DataPatch,
            Self::Meta => ObjectKind::MetaPatch,
        }
    }
}
