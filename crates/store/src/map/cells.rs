//! A leaf spread out: one cell per block, easy to change and to compare.
//!
//! The stored form is run-length coded (`format::node`); this one is what a backup works on.

use std::collections::BTreeSet;

use crate::format::id::SlotRef;
use crate::format::node::{Content, Extent, Leaf};

/// Where the content of one block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cell {
    /// Nowhere: it is all zeros.
    Hole,
    /// Lost: it was damaged and could not be healed.
    Bad,
    /// Block `index` of the frame in `slot`.
    Data {
        /// The slot.
        slot: SlotRef,
        /// Which block of the frame.
        index: u8,
    },
}

impl Cell {
    fn slot(&self) -> Option<SlotRef> {
        match self {
            Self::Data { slot, .. } => Some(*slot),
            Self::Hole | Self::Bad => None,
        }
    }
}

/// The cells of a stored leaf; blocks it says nothing about are holes.
pub(crate) fn spread(leaf: &Leaf, blocks: usize) -> Vec<Cell> {
    let mut cells = vec![Cell::Hole; blocks];
    for extent in &leaf.extents {
        let covered = cells.iter_mut().skip(extent.start.into()).take(extent.run.into());
        // A decoded extent never reaches beyond its slot, which has 16 blocks at most.
        for (step, cell) in (0_u8..).zip(covered) {
            *cell = match extent.content {
                Content::Bad => Cell::Bad,
                Content::Data { slot, first } => Cell::Data { slot, index: first + step },
            };
        }
    }
    cells
}

/// The stored form of `cells`, or `None` if all of them are holes.
pub(crate) fn gather(cells: &[Cell]) -> Option<Leaf> {
    let mut extents: Vec<Extent> = Vec::new();
    for (at, cell) in (0_u16..).zip(cells) {
        if let Some(last) = extents.last_mut()
            && continues(last, at, cell)
        {
            last.run += 1;
            continue;
        }
        let content = match *cell {
            Cell::Hole => continue,
            Cell::Bad => Content::Bad,
            Cell::Data { slot, index } => Content::Data { slot, first: index },
        };
        extents.push(Extent { start: at, run: 1, content });
    }
    (!extents.is_empty()).then_some(Leaf { extents })
}

fn continues(extent: &Extent, at: u16, cell: &Cell) -> bool {
    extent.start + extent.run == at
        && match (extent.content, cell) {
            (Content::Bad, Cell::Bad) => true,
            (Content::Data { slot, first }, Cell::Data { slot: other, index }) => {
                slot == *other && u16::from(first) + extent.run == u16::from(*index)
            }
            _ => false,
        }
}

/// The slots that `old` points to and `new` does not: they die.
pub(crate) fn died(old: &[Cell], new: &[Cell]) -> Vec<SlotRef> {
    let kept: BTreeSet<SlotRef> = new.iter().filter_map(Cell::slot).collect();
    let had: BTreeSet<SlotRef> = old.iter().filter_map(Cell::slot).collect();
    had.difference(&kept).copied().collect()
}

/// The slots that `new` points to since version `seq` and that were not stored for it: they are
/// borrowed, once per leaf.
pub(crate) fn born(new: &[Cell], seq: u64, stored: &[SlotRef]) -> BTreeSet<SlotRef> {
    let slots = new.iter().filter_map(Cell::slot);
    slots.filter(|slot| slot.birth == seq && !stored.contains(slot)).collect()
}

/// How many cells are not holes.
pub(crate) fn used(cells: &[Cell]) -> u64 {
    cells.iter().filter(|cell| **cell != Cell::Hole).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::PackId;

    fn slot(number: u32) -> SlotRef {
        SlotRef { pack: PackId([1; 16]), slot: number, birth: 1, stored_bytes: 100 }
    }

    fn data(number: u32, index: u8) -> Cell {
        Cell::Data { slot: slot(number), index }
    }

    #[test]
    fn cells_become_runs_and_runs_become_the_same_cells() {
        let cells = [
            Cell::Hole,
            Cell::Hole,
            data(1, 0),
            data(1, 1),
            data(1, 3),
            data(2, 4),
            Cell::Bad,
            Cell::Hole,
            data(1, 2),
        ];
        let leaf = gather(&cells).unwrap();
        let runs: Vec<u16> = leaf.extents.iter().map(|extent| extent.run).collect();
        assert_eq!(runs, [2, 1, 1, 1, 1]);
        assert_eq!(spread(&leaf, cells.len()), cells);
        assert_eq!(spread(&leaf, 3), cells[..3], "a disk that shrank");
        assert_eq!(gather(&[Cell::Hole; 256]), None);
    }

    #[test]
    fn a_slot_dies_when_its_last_block_is_replaced() {
        let old = [data(1, 0), data(1, 1), data(2, 0), Cell::Hole];
        let new = [data(1, 0), data(3, 0), Cell::Hole, data(3, 1)];
        assert_eq!(died(&old, &new), [slot(2)]);
        assert_eq!((used(&old), used(&new)), (3, 3));
    }
}
