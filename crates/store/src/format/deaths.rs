//! Death lists: which slots stopped being current with a version.
//!
//! A version writes as many lists as it needs, each small enough for a slot of
//! a metadata pack.

use super::codec::{Decoded, Decoder, Encoder, Malformed};
use super::id::{PackId, PackKind, SlotRef};

const TAG: u8 = 3;

/// One list.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Deaths {
    /// Sorted (kind, then slot), without repetition.
    pub dead: Vec<(PackKind, SlotRef)>,
}

impl Deaths {
    /// The most slots one list has: with it every list fits a slot of a metadata pack.
    pub const DEAD_MAX: usize = 16_384;

    /// The stored form: per pack its name once, then its slots.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.u8(TAG);
        let groups: Vec<_> =
            self.dead.chunk_by(|a, b| (a.0, a.1.pack) == (b.0, b.1.pack)).collect();
        to.count(groups.len());
        for group in groups {
            let Some((kind, first)) = group.first() else { continue };
            to.u8(kind.tag());
            to.raw(&first.pack.0);
            to.count(group.len());
            for (_, slot) in group {
                to.varint(slot.slot.into());
                to.varint(slot.birth);
                to.varint(slot.stored_bytes.into());
            }
        }
        to.into_bytes()
    }

    /// Reads the stored form; any input gives a list or an error.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut from = Decoder::new(bytes);
        if from.u8()? != TAG {
            return Err(Malformed("not a death list"));
        }
        let mut dead = Vec::new();
        for _ in 0..from.count(Self::DEAD_MAX, 21)? {
            let kind = PackKind::from_tag(from.u8()?)?;
            let pack = PackId(from.array()?);
            let count = from.count(Self::DEAD_MAX - dead.len(), 3)?;
            if count == 0 {
                return Err(Malformed("a pack without dead slots is listed"));
            }
            for _ in 0..count {
                let (slot, birth) = (from.varint_u32()?, from.varint()?);
                let stored_bytes = from.varint_u32()?;
                dead.push((kind, SlotRef { pack, slot, birth, stored_bytes }));
            }
        }
        from.finish()?;
        if !dead.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("dead slots are not in order"));
        }
        Ok(Self { dead })
    }
}
