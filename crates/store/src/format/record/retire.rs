//! A retire record: nobody may borrow these slots any more.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::PACK_SLOTS_MAX;
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;
use crate::format::id::PackId;

/// Put if absent under the next number of the domain's retire log.
///
/// It is a promise about the future only: what a session had borrowed before stays borrowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retire {
    /// Slots of data packs, ascending by pack.
    pub packs: Vec<(PackId, RetiredSlots)>,
    /// Who retired them, for people.
    pub by: String,
}

/// Which slots of a pack are retired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetiredSlots {
    /// Every one.
    All,
    /// These, ascending; at least one.
    Some(Vec<u32>),
}

impl Retire {
    /// The most slots one record names; a whole pack counts as one.
    pub const SLOTS_MAX: usize = 65_536;
}

impl Record for Retire {
    const KIND: ObjectKind = ObjectKind::Retire;

    fn encode(&self, to: &mut Encoder) {
        to.count(self.packs.len());
        for (pack, slots) in &self.packs {
            to.raw(&pack.0);
            let slots = match slots {
                RetiredSlots::All => &[][..],
                RetiredSlots::Some(slots) => slots,
            };
            to.count(slots.len());
            for slot in slots {
                to.varint((*slot).into());
            }
        }
        to.bytes(self.by.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let count = from.count(Self::SLOTS_MAX, 17)?;
        let mut packs: Vec<(PackId, RetiredSlots)> = Vec::with_capacity(count);
        for _ in 0..count {
            let pack = PackId(from.array()?);
            let count = from.count(PACK_SLOTS_MAX, 1)?;
            let slots = (0..count).map(|_| from.varint_u32()).collect::<Decoded<Vec<_>>>()?;
            if !slots.is_sorted_by(|a, b| a < b) {
                return Err(Malformed("retired slots are not ascending"));
            }
            let slots =
                if slots.is_empty() { RetiredSlots::All } else { RetiredSlots::Some(slots) };
            packs.push((pack, slots));
        }
        if !packs.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Malformed("retired packs are not ascending"));
        }
        Ok(Self { packs, by: from.text(TEXT_BYTES_MAX)?.to_owned() })
    }
}
