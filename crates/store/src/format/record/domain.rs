//! A domain's record: by which rules its blocks are cut, named and sealed.

use super::Record;
use crate::format::BLOCK_BYTES;
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;
use crate::format::id::Scope;

/// The tag of "fixed blocks".
const CHUNKING_FIXED: u8 = 1;
/// The tag of "keyed BLAKE3, 256 bits".
const ID_BLAKE3: u8 = 1;
/// The tag of "AES-256-GCM".
const AEAD_AES_256_GCM: u8 = 1;

/// What `domain.v1` says. It is written once and never changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Domain {
    /// What shares with what.
    pub scope: Scope,
    /// The epoch.
    pub epoch: u32,
}

impl Record for Domain {
    const KIND: ObjectKind = ObjectKind::Domain;

    fn encode(&self, to: &mut Encoder) {
        to.u8(self.scope.tag());
        to.u32(self.epoch);
        to.u8(CHUNKING_FIXED);
        to.varint(BLOCK_BYTES as u64);
        to.u8(ID_BLAKE3);
        to.u8(AEAD_AES_256_GCM);
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let scope = Scope::from_tag(from.u8()?)?;
        let epoch = from.u32()?;
        let chunking = from.u8()?;
        let block_bytes = from.varint()?;
        let (id, aead) = (from.u8()?, from.u8()?);
        if chunking != CHUNKING_FIXED || block_bytes != BLOCK_BYTES as u64 {
            return Err(Malformed("unknown block size"));
        }
        if id != ID_BLAKE3 || aead != AEAD_AES_256_GCM {
            return Err(Malformed("unknown algorithm"));
        }
        Ok(Self { scope, epoch })
    }
}
