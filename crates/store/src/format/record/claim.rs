//! A claim: a session wants this sequence number.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder};
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
}

impl Record for Claim {
    const KIND: ObjectKind = ObjectKind::Claim;

    fn encode(&self, to: &mut Encoder) {
        to.raw(&self.nonce.0);
        to.option(self.parent, Encoder::varint);
        to.bytes(self.owner.as_bytes());
        to.bytes(self.node.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        Ok(Self {
            nonce: SessionNonce(from.array()?),
            parent: from.option(Decoder::varint)?,
            owner: from.text(TEXT_BYTES_MAX)?.to_owned(),
            node: from.text(TEXT_BYTES_MAX)?.to_owned(),
        })
    }
}
