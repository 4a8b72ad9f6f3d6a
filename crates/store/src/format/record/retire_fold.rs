//! A fold of a domain's retire log: its beginning in one object.
//!
//! A copy, never a second truth, as the fold of a chain's log is: every record stays where it is, a
//! fold may be absent or lost at any time, and a check compares it with the records.

use super::Record;
use crate::format::PACK_SLOTS_MAX;
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;
use crate::format::id::PackId;

/// The most packs a fold names.
const PACKS_MAX: usize = 16 * 1024 * 1024;

/// What the retire records from number 1 on say. How many they are is in the object's key.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RetireFold {
    /// The BLAKE3 of the last record's object: by it a fold of a copy that has gone its own way is known.
    pub last: [u8; 32],
    /// By pack, ascending.
    pub packs: Vec<(PackId, FoldedPack)>,
}

/// What is retired of one pack, and since which record.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FoldedPack {
    /// The first record that retired every slot.
    pub all: Option<u64>,
    /// Slots that were retired one by one, ascending, with the first record that named each.
    pub slots: Vec<(u32, u64)>,
}

impl Record for RetireFold {
    const KIND: ObjectKind = ObjectKind::RetireFold;

    fn encode(&self, to: &mut Encoder) {
        to.raw(&self.last);
        to.count(self.packs.len());
        for (pack, folded) in &self.packs {
            to.raw(&pack.0);
            to.option(folded.all, Encoder::varint);
            to.count(folded.slots.len());
            for (slot, n) in &folded.slots {
                to.varint((*slot).into());
                to.varint(*n);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let last = from.array()?;
        let count = from.count(PACKS_MAX, 19)?;
        let mut packs: Vec<(PackId, FoldedPack)> = Vec::with_capacity(count);
        for _ in 0..count {
            let pack = PackId(from.array()?);
            let all = from.option(Decoder::varint)?;
            let count = from.count(PACK_SLOTS_MAX, 2)?;
            let slot = |from: &mut Decoder<'_>| Ok((from.varint_u32()?, from.varint()?));
            let slots = (0..count).map(|_| slot(from)).collect::<Decoded<Vec<_>>>()?;
            if !slots.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(Malformed("retired slots are not ascending"));
            }
            if slots.is_empty() && all.is_none() {
                return Err(Malformed("a pack of which nothing is retired"));
            }
            if all.into_iter().chain(slots.iter().map(|(_, n)| *n)).any(|n| n == 0) {
                return Err(Malformed("retired by no record"));
            }
            packs.push((pack, FoldedPack { all, slots }));
        }
        if !packs.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Malformed("retired packs are not ascending"));
        }
        Ok(Self { last, packs })
    }
}
