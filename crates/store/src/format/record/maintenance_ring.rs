//! The part of a tenant's key that maintenance needs, sealed by the master's maintenance key.

use zeroize::Zeroizing;

use super::Record;
use crate::crypto::MaintenanceRing;
use crate::format::codec::{Decoded, Decoder, Encoder};
use crate::format::envelope::{ObjectKind, SectionType};

impl Record for MaintenanceRing {
    const KIND: ObjectKind = ObjectKind::MaintenanceRing;
    const SECTION: SectionType = SectionType::MaintenanceRing;

    fn encode(&self, to: &mut Encoder) {
        to.raw(self.metadata.as_ref());
        to.raw(self.maintenance.as_ref());
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let metadata = Zeroizing::new(from.array()?);
        let maintenance = Zeroizing::new(from.array()?);
        Ok(Self { metadata, maintenance })
    }
}
