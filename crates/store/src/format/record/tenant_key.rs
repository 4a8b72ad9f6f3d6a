//! A tenant's key, sealed by the master key.

use zeroize::Zeroizing;

use super::Record;
use crate::crypto::TenantKey;
use crate::format::codec::{Decoded, Decoder, Encoder};
use crate::format::envelope::{ObjectKind, SectionType};

impl Record for TenantKey {
    const KIND: ObjectKind = ObjectKind::TenantKey;
    const SECTION: SectionType = SectionType::TenantKey;

    fn encode(&self, to: &mut Encoder) {
        to.raw(self.as_bytes());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        from.array().map(|bytes| Self::from_bytes(Zeroizing::new(bytes)))
    }
}
