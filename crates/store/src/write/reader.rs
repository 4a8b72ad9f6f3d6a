//! Reading ahead: one thread per lane fills buffers for the lane's worker.
//!
//! The buffers go round: free ones come back from the worker, so a lane never holds more than
//! [`BUFFERS`] of them however slow its worker is. Without threads the reader hands each piece
//! to the worker by a plain call.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;

use crossbeam_channel::Receiver;

use super::plan::{Action, Plan};
use super::stop::{Stop, Stopped};
use crate::error::Error;
use crate::job::Meter;
use crate::map::geometry::{BLOCK_BYTES, LEAF_BLOCKS, block_range};
use crate::size::to_usize;
use crate::source::BlockSource;

/// Blocks that are read at once.
pub(super) const READ_BLOCKS: usize = 16;
/// Buffers of a lane.
pub(super) const BUFFERS: usize = 4;

/// What a reader tells its worker.
pub(super) enum Item {
    /// A leaf begins, and what is to be done with each of its blocks.
    Leaf { leaf: u64, actions: Vec<Action> },
    /// Consecutive whole blocks of that leaf from block `first` on.
    Blocks { first: usize, bytes: Vec<u8> },
    /// Nothing more comes for that leaf.
    End,
}

/// How a reader gives its worker something: through a channel, or by calling it.
pub(super) type ToWorker<'w> = dyn FnMut(Item) -> Result<(), Stopped> + 'w;

/// The next leaf to visit, for all lanes.
#[derive(Debug)]
pub(super) struct Cursor {
    rest: Mutex<Vec<Range<u64>>>,
}

impl Cursor {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut rest = plan.leaves().to_vec();
        rest.reverse();
        Self { rest: Mutex::new(rest) }
    }

    fn next(&self) -> Option<u64> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let range = rest.last_mut()?;
        let leaf = range.start;
        range.start += 1;
        if range.is_empty() {
            rest.pop();
        }
        Some(leaf)
    }
}

/// One reader.
pub(super) struct Reader<'a> {
    pub(super) source: &'a dyn BlockSource,
    pub(super) plan: &'a Plan,
    pub(super) cursor: &'a Cursor,
    pub(super) stop: &'a Stop,
    pub(super) meter: &'a Meter<'a>,
    pub(super) free: Receiver<Vec<u8>>,
}

impl Reader<'_> {
    /// Reads leaves until there are no more, and gives what it read to `worker`.
    pub(super) fn run(&self, worker: &mut ToWorker<'_>) -> Result<(), Stopped> {
        while let Some(leaf) = self.cursor.next() {
            self.stop.check(self.meter.check_cancelled())?;
            self.read_leaf(leaf, worker)?;
        }
        Ok(())
    }

    fn read_leaf(&self, leaf: u64, worker: &mut ToWorker<'_>) -> Result<(), Stopped> {
        let actions = self.plan.actions(leaf);
        let runs = read_runs(&actions);
        worker(Item::Leaf { leaf, actions })?;
        for run in runs {
            // The worker is gone only if something failed.
            let mut bytes = self.free.recv().map_err(|_| Stopped)?;
            let start = leaf * LEAF_BLOCKS + run.start as u64;
            let end = leaf * LEAF_BLOCKS + run.end as u64;
            bytes.resize(run.len() * to_usize(BLOCK_BYTES), 0);
            let offset = start * BLOCK_BYTES;
            let length = block_range(end - 1, self.plan.disk_bytes()).end - offset;
            let (inside, beyond) = bytes.split_at_mut(to_usize(length));
            // Beyond the end of the disk a block is zeros.
            beyond.fill(0);
            self.source
                .read_at(offset, inside)
                .map_err(|source| self.stop.fail(Error::Source { offset, source }))?;
            self.meter.add(length, 0);
            worker(Item::Blocks { first: run.start, bytes })?;
        }
        worker(Item::End)
    }
}

/// The blocks to read, as runs of at most [`READ_BLOCKS`], cut at their multiples.
fn read_runs(actions: &[Action]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in actions.iter().enumerate().filter(|(_, action)| **action == Action::Read) {
        match runs.last_mut() {
            Some(run) if run.end == at && at % READ_BLOCKS != 0 => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_contiguous_and_no_longer_than_a_buffer() {
        let mut actions = vec![Action::Hole; 40];
        actions[3..35].fill(Action::Read);
        actions[20] = Action::Keep;
        assert_eq!(read_runs(&actions), [3..16, 16..20, 21..32, 32..35]);
    }

    #[test]
    fn every_leaf_of_the_plan_is_handed_out_once() {
        let leaf = LEAF_BLOCKS * BLOCK_BYTES;
        let changed = [0..1, 3 * leaf..5 * leaf];
        let plan = Plan::changed(9 * leaf, &[], 9 * leaf, &changed);
        let cursor = Cursor::new(&plan);
        let leaves: Vec<u64> = std::iter::from_fn(|| cursor.next()).collect();
        assert_eq!(leaves, [0, 3, 4]);
    }
}
