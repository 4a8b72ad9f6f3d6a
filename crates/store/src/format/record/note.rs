//! A note: what the caller wants to find again without a database, and that no version's card says.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder};
use crate::format::envelope::ObjectKind;

/// The longest content of a note, in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Put if absent under the next number of its subject's notes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Who made it: of one owner there is one note about a subject.
    pub owner: String,
    /// Opaque.
    pub content: Vec<u8>,
}

impl Record for Note {
    const KIND: ObjectKind = ObjectKind::Note;

    fn encode(&self, to: &mut Encoder) {
        to.bytes(self.owner.as_bytes());
        to.bytes(&self.content);
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let owner = from.text(TEXT_BYTES_MAX)?.to_owned();
        Ok(Self { owner, content: from.bytes(NOTE_BYTES_MAX)?.to_vec() })
    }
}
