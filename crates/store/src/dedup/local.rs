//! The blocks a session has stored itself, the latest of them: a disk that repeats itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::borrower::Found;
use super::budget::Budget;
use crate::crypto::BlockId;
use crate::format::id::SlotRef;

/// About what one block takes.
const BLOCK_BYTES: u64 = 160;
/// The most blocks that are remembered: 4 GiB of them.
const BLOCKS_MAX: u64 = 65_536;
/// The part of the budget that a session takes at most.
const BUDGET_PART: u64 = 4;

/// What a session remembers of its own blocks.
#[derive(Debug)]
pub(super) struct Local {
    budget: Arc<Budget>,
    taken_bytes: u64,
    blocks: Mutex<Blocks>,
}

#[derive(Debug, Default)]
struct Blocks {
    max: usize,
    found: HashMap<BlockId, Found>,
    order: VecDeque<BlockId>,
}

impl Local {
    pub(super) fn new(budget: Arc<Budget>, cap_bytes: u64) -> Self {
        let max = (cap_bytes / BUDGET_PART / BLOCK_BYTES).min(BLOCKS_MAX);
        let taken_bytes = if budget.take(max * BLOCK_BYTES) { max * BLOCK_BYTES } else { 0 };
        let max = crate::size::to_usize(taken_bytes / BLOCK_BYTES);
        let blocks = Mutex::new(Blocks { max, ..Blocks::default() });
        Self { budget, taken_bytes, blocks }
    }

    pub(super) fn find(&self, id: &BlockId) -> Option<Found> {
        self.lock().found.get(id).copied()
    }

    /// Remembers the blocks of a slot that was just stored.
    pub(super) fn add(&self, slot: SlotRef, ids: &[BlockId]) {
        let mut blocks = self.lock();
        for (index, id) in (0_u8..).zip(ids) {
            if blocks.max == 0 || blocks.found.contains_key(id) {
                continue;
            }
            if blocks.order.len() >= blocks.max
                && let Some(oldest) = blocks.order.pop_front()
            {
                blocks.found.remove(&oldest);
            }
            blocks.found.insert(*id, Found { slot, index, is_near: true });
            blocks.order.push_back(*id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.budget.give_back(self.taken_bytes);
    }
}
