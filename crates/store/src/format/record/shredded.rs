//! What is left of a tenant whose keys were destroyed: that this was done on purpose.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder};
use crate::format::envelope::{ObjectKind, SectionType};

/// Put before the keys go, so that nobody makes the tenant a new key over data of the old one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shredded {
    /// Who did it and why, in the caller's words.
    pub by: String,
}

impl Record for Shredded {
    const KIND: ObjectKind = ObjectKind::Shredded;
    const SECTION: SectionType = SectionType::Shredded;

    fn encode(&self, to: &mut Encoder) {
        to.bytes(self.by.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        Ok(Self { by: from.text(TEXT_BYTES_MAX)?.to_owned() })
    }
}
