//! What was rebuilt.

use crate::format::id::{PackId, SlotRef};

/// A slot of a metadata pack and what it contained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rebuilt {
    pub(crate) pack: PackId,
    pub(crate) slot: u32,
    pub(crate) content: Vec<u8>,
}

impl Rebuilt {
    pub(super) fn of(slot: &SlotRef, content: Vec<u8>) -> Self {
        Self { pack: slot.pack, slot: slot.slot, content }
    }
}
