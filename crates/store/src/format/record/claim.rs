//! A claim: a session wants this sequence number.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;
use crate::format::id::SessionNonce;

/// Put if absent before anything is written; the key says chain and number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The session's random name.
    pub nonce: SessionNonce,
    /// The version the session builds on.
    pub parent: Option<u64>,
    /// Whose session it is, in the caller's words (a task's id).
    pub owner: String,
    /// Where the session runs, for people.
    pub node: String,
    /// Where blocks are shared: the last retire record the session knows of. What later ones name
    /// is kept until the session has its verdict.
    pub retired: Option<u64>,
}

/// Added to the tag of the parent: the number of a retire record follows.
const KNOWS_RETIRED: u8 = 2;

impl Record for Claim {
    const KIND: ObjectKind = ObjectKind::Claim;

    fn encode(&self, to: &mut Encoder) {
        to.raw(&self.nonce.0);
        let tag = u8::from(self.parent.is_some());
        to.u8(tag + if self.retired.is_some() { KNOWS_RETIRED } else { 0 });
        for number in [self.parent, self.retired].into_iter().flatten() {
            to.varint(number);
        }
        to.bytes(self.owner.as_bytes());
        to.bytes(self.node.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let nonce = SessionNonce(from.array()?);
        let tag = from.u8()?;
        if tag > 1 + KNOWS_RETIRED {
            return Err(Malformed("neither with nor without a parent"));
        }
        let parent = if tag & 1 == 1 { Some(from.varint()?) } else { None };
        let retired = if tag >= KNOWS_RETIRED { Some(from.varint()?) } else { None };
        let owner = from.text(TEXT_BYTES_MAX)?.to_owned();
        let node = from.text(TEXT_BYTES_MAX)?.to_owned();
        Ok(Self { nonce, parent, owner, node, retired })
    }
}
