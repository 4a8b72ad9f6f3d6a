//! Which blocks a backup reads, and what becomes of the others.
//!
//! Pure: from the source's extents, the change map and the two disk sizes follows for every block
//! one [`Action`]; leaves in which every block is kept are not visited at all.

use std::ops::Range;

use crate::map::geometry::{BLOCK_BYTES, LEAF_BLOCKS, block_range, blocks, leaf_blocks, leaves};
use crate::size::to_usize;

/// What is done with one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// The parent's block is taken over.
    Keep,
    /// The block is a hole now, whatever it was.
    Hole,
    /// The block is read and compared.
    Read,
}

/// The reading list of a backup.
#[derive(Debug)]
pub(crate) struct Plan {
    disk_bytes: u64,
    /// Blocks that may hold data, merged and sorted.
    allocated: Vec<Range<u64>>,
    /// Blocks that may differ from the parent, merged and sorted.
    changed: Vec<Range<u64>>,
    /// Leaves to visit, merged and sorted.
    leaves: Vec<Range<u64>>,
}

impl Plan {
    /// Everything may have changed: the plan without a parent or without a change map.
    pub(crate) fn whole(disk_bytes: u64, extents: &[Range<u64>]) -> Self {
        let everything = 0..blocks(disk_bytes);
        Self::new(disk_bytes, extents, vec![everything])
    }

    /// Only `changed` (byte ranges) may differ from a parent of `parent_bytes`.
    pub(crate) fn changed(
        disk_bytes: u64,
        extents: &[Range<u64>],
        parent_bytes: u64,
        changed: &[Range<u64>],
    ) -> Self {
        let mut ranges = touched_blocks(changed, disk_bytes);
        if parent_bytes != disk_bytes {
            // No change map tells about bytes that only one of the two disks has. The block in
            // which the shorter one ends is cut in it, so it is read again; a growing disk also
            // has its old last leaf visited, because the levels above it are new.
            let seam = (parent_bytes.min(disk_bytes) / BLOCK_BYTES).saturating_sub(1);
            ranges.push(seam..blocks(disk_bytes).max(seam));
            ranges = merged(ranges);
        }
        Self::new(disk_bytes, extents, ranges)
    }

    fn new(disk_bytes: u64, extents: &[Range<u64>], changed: Vec<Range<u64>>) -> Self {
        let allocated = touched_blocks(extents, disk_bytes);
        let to_leaves = changed.iter().filter(|range| !range.is_empty()).map(|range| {
            let last = range.end.div_ceil(LEAF_BLOCKS);
            (range.start / LEAF_BLOCKS)..last.min(leaves(disk_bytes))
        });
        let leaves = merged(to_leaves.collect());
        Self { disk_bytes, allocated, changed, leaves }
    }

    /// Whether nothing of the parent is taken over unread.
    pub(crate) fn is_whole(&self) -> bool {
        let all = 0..blocks(self.disk_bytes);
        all.is_empty() || self.changed.first() == Some(&all)
    }

    /// The leaves to visit.
    pub(crate) fn leaves(&self) -> &[Range<u64>] {
        &self.leaves
    }

    /// Whether any leaf of `range` is visited.
    pub(crate) fn visits(&self, range: &Range<u64>) -> bool {
        overlapping(&self.leaves, range).next().is_some()
    }

    /// Bytes that will be read.
    pub(crate) fn read_bytes(&self) -> u64 {
        let mut total = 0;
        for range in &self.changed {
            for part in overlapping(&self.allocated, range) {
                let end = block_range(part.end - 1, self.disk_bytes).end;
                total += end - part.start * BLOCK_BYTES;
            }
        }
        total
    }

    /// What to do with each block of `leaf` that the disk has.
    pub(crate) fn actions(&self, leaf: u64) -> Vec<Action> {
        let first = leaf * LEAF_BLOCKS;
        let count = leaf_blocks(leaf, self.disk_bytes);
        let all = first..first + count;
        let mut actions = vec![Action::Keep; to_usize(count)];
        for range in overlapping(&self.changed, &all) {
            set(&mut actions, first, &range, Action::Hole);
            for part in overlapping(&self.allocated, &range) {
                set(&mut actions, first, &part, Action::Read);
            }
        }
        actions
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }
}

fn set(actions: &mut [Action], first: u64, range: &Range<u64>, action: Action) {
    actions[to_usize(range.start - first)..to_usize(range.end - first)].fill(action);
}

/// The blocks that byte ranges touch, cut at the end of the disk, merged and sorted.
fn touched_blocks(ranges: &[Range<u64>], disk_bytes: u64) -> Vec<Range<u64>> {
    let inside = ranges.iter().map(|range| range.start..range.end.min(disk_bytes));
    let to_blocks = inside
        .filter(|range| !range.is_empty())
        .map(|range| range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES));
    merged(to_blocks.collect())
}

/// The same numbers as sorted ranges that neither touch nor overlap.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The parts of `ranges` (merged and sorted) that lie in `window`.
fn overlapping<'a>(
    ranges: &'a [Range<u64>],
    window: &Range<u64>,
) -> impl Iterator<Item = Range<u64>> + 'a {
    let (start, end) = (window.start, window.end);
    let from = ranges.partition_point(|range| range.end <= start);
    ranges[from..]
        .iter()
        .take_while(move |range| range.start < end)
        .map(move |range| range.start.max(start)..range.end.min(end))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "lists of ranges are what is tested")]
    use super::*;
    use crate::map::geometry::LEAF_BYTES;
    use Action::{Hole, Keep, Read};

    const B: u64 = BLOCK_BYTES;

    #[test]
    fn blocks_that_may_hold_data_are_read_and_the_others_are_holes() {
        let plan = Plan::whole(5 * B + 7, &[B + 10..2 * B + 1, 5 * B..9 * B]);
        assert_eq!(plan.actions(0), [Hole, Read, Read, Hole, Hole, Read]);
        assert_eq!(plan.read_bytes(), 2 * B + 7, "the last block is short");
        assert_eq!(plan.leaves(), [0..1]);
        assert!(plan.is_whole());
    }

    #[test]
    fn a_change_map_keeps_everything_it_does_not_name() {
        let disk = 3 * LEAF_BYTES;
        let all = [0..disk - 4 * B];
        let changed = [LEAF_BYTES + 5..LEAF_BYTES + 6, disk - 5 * B..disk - 3 * B];
        let plan = Plan::changed(disk, &all, disk, &changed);
        assert_eq!(plan.leaves(), [1..3]);
        assert!(!plan.is_whole());
        assert_eq!(plan.read_bytes(), 2 * B);
        let actions = plan.actions(1);
        assert!(actions[0] == Read && actions[1..].iter().all(|action| *action == Keep));
        assert_eq!(plan.actions(2)[250..], [Keep, Read, Hole, Keep, Keep, Keep]);
        assert!(!plan.visits(&(0..1)) && plan.visits(&(0..2)));
    }

    #[test]
    fn what_no_change_map_can_know_is_read_after_a_resize() {
        let (small, large) = (LEAF_BYTES + B + 9, 3 * LEAF_BYTES);
        let grown = Plan::changed(large, &[0..large], small, &[]);
        assert_eq!(grown.leaves(), [1..3]);
        assert_eq!(grown.actions(1)[..4], [Read, Read, Read, Read], "the seam and all after it");
        let shrunk = Plan::changed(small, &[0..small], large, &[]);
        assert_eq!(shrunk.leaves(), [1..2]);
        assert_eq!(shrunk.actions(1), [Read, Read]);
    }

    #[test]
    fn a_disk_without_bytes_needs_nothing() {
        let plan = Plan::whole(0, &[]);
        assert_eq!((plan.read_bytes(), plan.leaves().len()), (0, 0));
        assert!(Plan::changed(0, &[], LEAF_BYTES, &[]).leaves().is_empty());
    }
}
