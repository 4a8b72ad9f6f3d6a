//! The identity table of a pack, the other way round: from id to slot.

use std::sync::Arc;

use crate::crypto::BlockId;
use crate::format::id::PackId;
use crate::format::pack::{PackIndex, SlotEntry};

/// A pack in which blocks are looked for.
#[derive(Debug)]
pub(super) struct Table {
    index: Arc<PackIndex>,
    /// The beginning of an id, and where the block is: position of the slot, block in it.
    order: Vec<(u64, u32, u8)>,
}

impl Table {
    pub(super) fn of(index: Arc<PackIndex>) -> Self {
        let mut order = Vec::new();
        for (at, entry) in (0_u32..).zip(index.slots()) {
            for (block, id) in (0_u8..).zip(index.ids(entry)) {
                order.push((beginning(id), at, block));
            }
        }
        order.sort_unstable();
        Self { index, order }
    }

    pub(super) fn pack(&self) -> PackId {
        self.index.pack().id
    }

    /// About what it takes in memory.
    pub(super) fn bytes(&self) -> u64 {
        let ids = self.order.len() as u64 * (16 + 32);
        256 + ids + size_of_val(self.index.slots()) as u64
    }

    /// The slots that hold the block, and which block of them it is. Whole ids are compared.
    pub(super) fn find<'a>(
        &'a self,
        id: &'a BlockId,
    ) -> impl Iterator<Item = (&'a SlotEntry, u8)> + 'a {
        let from = self.order.partition_point(|(begin, ..)| *begin < beginning(id));
        self.order[from..]
            .iter()
            .take_while(|(begin, ..)| *begin == beginning(id))
            .filter_map(|(_, at, block)| Some((self.index.slots().get(*at as usize)?, *block)))
            .filter(|(entry, block)| self.index.ids(entry).get(usize::from(*block)) == Some(id))
    }
}

fn beginning(id: &BlockId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.0[..8]);
    u64::from_be_bytes(bytes)
}
