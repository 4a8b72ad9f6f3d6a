//! A delete record: these versions are gone.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;

/// Put if absent under the next number of the chain's delete log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delete {
    /// The deleted versions, ascending.
    pub seqs: Vec<u64>,
    /// Who deleted them, in the caller's words.
    pub by: String,
}

impl Delete {
    /// The most versions one record names.
    pub const SEQS_MAX: usize = 65_536;
}

impl Record for Delete {
    const KIND: ObjectKind = ObjectKind::Delete;

    fn encode(&self, to: &mut Encoder) {
        to.count(self.seqs.len());
        for seq in &self.seqs {
            to.varint(*seq);
        }
        to.bytes(self.by.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let count = from.count(Self::SEQS_MAX, 1)?;
        let seqs = (0..count).map(|_| from.varint()).collect::<Decoded<Vec<_>>>()?;
        if !seqs.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("versions are not ascending"));
        }
        Ok(Self { seqs, by: from.text(TEXT_BYTES_MAX)?.to_owned() })
    }
}
