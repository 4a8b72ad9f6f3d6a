//! Counted lists of references to slots: deaths and borrowings where blocks are shared.
//!
//! There the same slot may be pointed to from several leaves of a map, so a list says how many
//! references it adds or ends (`deaths.rs` needs no count: without sharing there is one).

use super::codec::{Decoded, Decoder, Encoder, Malformed};
use super::id::{PackId, PackKind, SlotRef};

const TAG: u8 = 4;

/// One list.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct References {
    /// Sorted (kind, then slot), each with how many references there are, at least one.
    pub counted: Vec<(PackKind, SlotRef, u64)>,
}

impl References {
    /// The most slots one list has: with it every list fits a slot of a metadata pack.
    pub const SLOTS_MAX: usize = 16_384;

    /// The list of references that are given one by one, in any order.
    pub fn of(mut each: Vec<(PackKind, SlotRef)>) -> Self {
        each.sort_unstable();
        let counted = each.chunk_by(|a, b| a == b).filter_map(|same| {
            let (kind, slot) = same.first()?;
            Some((*kind, *slot, same.len() as u64))
        });
        Self { counted: counted.collect() }
    }

    /// The stored form: per pack its name once, then its slots.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.u8(TAG);
        let groups: Vec<_> =
            self.counted.chunk_by(|a, b| (a.0, a.1.pack) == (b.0, b.1.pack)).collect();
        to.count(groups.len());
        for group in groups {
            let Some((kind, first, _)) = group.first() else { continue };
            to.u8(kind.tag());
            to.raw(&first.pack.0);
            to.count(group.len());
            for (_, slot, times) in group {
                to.varint(slot.slot.into());
                to.varint(slot.birth);
                to.varint(slot.stored_bytes.into());
                to.varint(*times);
            }
        }
        to.into_bytes()
    }

    /// Reads the stored form; any input gives a list or an error.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut from = Decoder::new(bytes);
        if from.u8()? != TAG {
            return Err(Malformed("not a list of references"));
        }
        let mut counted = Vec::new();
        let mut before = None;
        for _ in 0..from.count(Self::SLOTS_MAX, 22)? {
            let kind = PackKind::from_tag(from.u8()?)?;
            let pack = PackId(from.array()?);
            if before.replace((kind, pack)) >= Some((kind, pack)) {
                return Err(Malformed("packs are not in order"));
            }
            let count = from.count(Self::SLOTS_MAX - counted.len(), 4)?;
            if count == 0 {
                return Err(Malformed("a pack without slots is listed"));
            }
            for _ in 0..count {
                let (slot, birth) = (from.varint_u32()?, from.varint()?);
                let stored_bytes = from.varint_u32()?;
                let times = from.varint()?;
                if times == 0 {
                    return Err(Malformed("a slot without references is listed"));
                }
                counted.push((kind, SlotRef { pack, slot, birth, stored_bytes }, times));
            }
        }
        from.finish()?;
        let name = |(kind, slot, _): &(PackKind, SlotRef, u64)| (*kind, *slot);
        if !counted.is_sorted_by(|a, b| name(a) < name(b)) {
            return Err(Malformed("references are not in order"));
        }
        Ok(Self { counted })
    }
}
