//! What a new map borrows, collected while it is built.

use std::collections::BTreeMap;

use crate::format::id::{PackId, PackKind, SlotRef};
use crate::format::record::{Borrowed, Lender};
use crate::format::references::References;

/// References to slots that were not stored for the leaf that points to them.
#[derive(Debug, Default)]
pub(super) struct Borrowings {
    slots: Vec<(PackKind, SlotRef)>,
    /// The slots that hold the lists written so far.
    pub(super) lists: Vec<SlotRef>,
    lenders: BTreeMap<PackId, (u64, u64)>,
}

impl Borrowings {
    pub(super) fn add(&mut self, slot: SlotRef) {
        let (references, bytes) = self.lenders.entry(slot.pack).or_default();
        *references += 1;
        *bytes += u64::from(slot.stored_bytes);
        self.slots.push((PackKind::Data, slot));
    }

    /// Whether a list is complete.
    pub(super) const fn is_full(&self) -> bool {
        self.slots.len() >= References::SLOTS_MAX
    }

    /// The next list, unless there is nothing to write.
    pub(super) fn take_list(&mut self) -> Option<References> {
        let slots = std::mem::take(&mut self.slots);
        (!slots.is_empty()).then(|| References::of(slots))
    }

    pub(super) fn into_record(self) -> Borrowed {
        let lenders = self.lenders.into_iter().map(|(pack, (references, bytes))| Lender {
            pack,
            references,
            bytes,
        });
        Borrowed { lists: self.lists, lenders: lenders.collect() }
    }
}
