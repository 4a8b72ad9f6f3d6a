//! A delete record: what happens to versions that somebody deletes, or takes back.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;

/// Put if absent under the next number of the chain's delete log. The records are applied in the
/// order of their numbers, so all readers agree on what became of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delete {
    /// The versions, ascending.
    pub seqs: Vec<u64>,
    /// Who did it, in the caller's words.
    pub by: String,
    /// What was done.
    pub deed: Deed,
}

/// What a delete record does to the versions it names. One that is gone stays gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// They are gone at once and for good, in the trash or not.
    Delete,
    /// Those that are live go to the trash.
    Trash,
    /// Those that are in the trash are live again.
    Restore,
    /// Those that are in the trash are gone for good.
    Purge,
}

impl Deed {
    /// What stands before the count: more than a count can be, so that who knows no trash refuses the
    /// record. A deletion has nothing there, as all records before there was a trash.
    const fn mark(self) -> Option<u64> {
        let most = Delete::SEQS_MAX as u64;
        match self {
            Self::Delete => None,
            Self::Trash => Some(most + 1),
            Self::Restore => Some(most + 2),
            Self::Purge => Some(most + 3),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let mut ahead = from.clone();
        let first = Some(ahead.varint()?);
        let marked = [Self::Trash, Self::Restore, Self::Purge];
        let Some(deed) = marked.into_iter().find(|deed| deed.mark() == first) else {
            return Ok(Self::Delete);
        };
        *from = ahead;
        Ok(deed)
    }
}

impl Delete {
    /// The most versions one record names.
    pub const SEQS_MAX: usize = 65_536;
}

impl Record for Delete {
    const KIND: ObjectKind = ObjectKind::Delete;

    fn encode(&self, to: &mut Encoder) {
        if let Some(mark) = self.deed.mark() {
            to.varint(mark);
        }
        to.count(self.seqs.len());
        for seq in &self.seqs {
            to.varint(*seq);
        }
        to.bytes(self.by.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let deed = Deed::decode(from)?;
        let count = from.count(Self::SEQS_MAX, 1)?;
        let seqs = (0..count).map(|_| from.varint()).collect::<Decoded<Vec<_>>>()?;
        if !seqs.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("versions are not ascending"));
        }
        Ok(Self { seqs, by: from.text(TEXT_BYTES_MAX)?.to_owned(), deed })
    }
}
