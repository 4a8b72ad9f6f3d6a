//! Borrowing blocks instead of storing them, run by run.
//!
//! A block that is stored somewhere else is borrowed only with its neighbours: a single one from a
//! far pack saves 64 KiB once and costs every restore a whole slot. So the first blocks of a run are
//! held back until the run is long enough; one that ends before is stored as if nothing had been
//! found. What this session wrote itself is near, and borrowed at once.

use crate::crypto::BlockId;
use crate::dedup::{Found, Recent};
use crate::format::BLOCK_BYTES;

/// The run in work.
#[derive(Debug)]
pub(super) struct Run {
    /// The fewest blocks in a row that are borrowed.
    min: usize,
    /// Tables in which the worker found something lately.
    pub(super) recent: Recent,
    /// Blocks that are held back: where they are in the leaf, and what was found.
    held: Vec<(usize, BlockId, Found)>,
    bytes: Vec<u8>,
    /// The place behind the last block of the run.
    next: usize,
    is_long: bool,
}

/// What becomes of a block that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It waits for its neighbours.
    Hold,
    /// It and everything held back is borrowed.
    Borrow(Vec<(usize, Found)>),
}

impl Run {
    pub(super) fn new(min: usize) -> Self {
        let (recent, held, bytes) = Default::default();
        Self { min, recent, held, bytes, next: 0, is_long: false }
    }

    /// Whether a block at `at` would go on with the run.
    pub(super) const fn continues(&self, at: usize) -> bool {
        (self.is_long || !self.held.is_empty()) && self.next == at
    }

    /// Adds a block that was found; the run must be ended first if it does not go on there.
    pub(super) fn add(&mut self, at: usize, block: &[u8], id: BlockId, found: Found) -> Step {
        self.next = at + 1;
        if self.is_long {
            return Step::Borrow(vec![(at, found)]);
        }
        self.held.push((at, id, found));
        if self.held.len() >= self.min {
            self.is_long = true;
            self.bytes.clear();
            return Step::Borrow(self.held.drain(..).map(|(at, _, found)| (at, found)).collect());
        }
        self.bytes.extend_from_slice(block);
        Step::Hold
    }

    /// Ends the run; what it held back is to be stored: place, id and bytes of each block.
    pub(super) fn end(&mut self, mut store: impl FnMut(usize, BlockId, &[u8])) {
        self.is_long = false;
        for ((at, id, _), block) in self.held.drain(..).zip(self.bytes.chunks_exact(BLOCK_BYTES)) {
            store(at, id, block);
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::{PackId, SlotRef};

    fn found(slot: u32) -> Found {
        let slot = SlotRef { pack: PackId([1; 16]), slot, birth: 1, stored_bytes: 9 };
        Found { slot, index: 0, is_near: false }
    }

    #[test]
    fn a_single_block_is_stored_and_a_run_is_borrowed_from_its_first_block_on() {
        let (block, id) = (vec![7; BLOCK_BYTES], BlockId([7; 32]));
        let mut run = Run::new(2);
        let mut stored = Vec::new();
        assert!(!run.continues(0));
        assert_eq!(run.add(3, &block, id, found(0)), Step::Hold);
        assert!(run.continues(4) && !run.continues(5));
        run.end(|at, _, bytes| stored.push((at, bytes.to_vec())));
        assert_eq!(stored, [(3, block.clone())]);
        assert_eq!(run.add(5, &block, id, found(1)), Step::Hold);
        assert_eq!(
            run.add(6, &block, id, found(2)),
            Step::Borrow(vec![(5, found(1)), (6, found(2))])
        );
        assert_eq!(run.add(7, &block, id, found(3)), Step::Borrow(vec![(7, found(3))]));
        run.end(|at, _, _| panic!("block {at} was borrowed and is stored again"));
        assert!(!run.continues(8), "a new run begins");
    }
}
