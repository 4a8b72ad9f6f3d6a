//! The store's descriptor: readable by anybody, made by the master key's owner only.

use uuid::Uuid;

use super::{Record, TEXT_BYTES_MAX};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::{ObjectKind, SectionType};

/// What `store.v1` says. It is written once and never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// The store's random id.
    pub store: Uuid,
    /// Features a release must know to read anything. None are defined.
    pub incompat: u32,
    /// Features a release must know to write or delete anything: [`Descriptor::ARBITRATED`].
    pub ro_compat: u32,
    /// What was found out about the backend when the store was made.
    pub probes: Vec<Probe>,
}

/// One question that was asked of the backend, and the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The question.
    pub name: String,
    /// Whether the backend does it.
    pub holds: bool,
}

impl Descriptor {
    /// The backend overwrites: writers must let an arbiter decide (`backend/layer/arbitrated.rs`).
    pub const ARBITRATED: u32 = 1;

    const PROBES_MAX: usize = 64;

    /// Whether this release may write to the store and delete from it.
    pub const fn may_write(&self) -> bool {
        self.ro_compat & !Self::ARBITRATED == 0
    }

    /// Whether writers need an arbiter.
    pub const fn is_arbitrated(&self) -> bool {
        self.ro_compat & Self::ARBITRATED != 0
    }

    /// Whether this release can read the store.
    pub const fn may_read(&self) -> bool {
        self.incompat == 0
    }
}

impl Record for Descriptor {
    const KIND: ObjectKind = ObjectKind::Descriptor;
    const SECTION: SectionType = SectionType::Descriptor;

    fn encode(&self, to: &mut Encoder) {
        to.uuid(self.store);
        to.u32(self.incompat);
        to.u32(self.ro_compat);
        to.count(self.probes.len());
        for probe in &self.probes {
            to.bytes(probe.name.as_bytes());
            to.u8(probe.holds.into());
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let (store, incompat, ro_compat) = (from.uuid()?, from.u32()?, from.u32()?);
        let count = from.count(Self::PROBES_MAX, 2)?;
        let mut probes = Vec::with_capacity(count);
        for _ in 0..count {
            let name = from.text(TEXT_BYTES_MAX)?.to_owned();
            let holds = match from.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed("neither yes nor no")),
            };
            probes.push(Probe { name, holds });
        }
        Ok(Self { store, incompat, ro_compat, probes })
    }
}
