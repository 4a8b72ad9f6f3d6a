//! What a part of the disk consists of: pieces of slots, holes, and what is lost.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::id::SlotRef;
use crate::format::node::{Content, Leaf};
use crate::map::MapReader;
use crate::map::geometry::{BLOCK_BYTES, LEAF_BLOCKS, LEAF_BYTES, blocks};
use crate::map::reader::Visit;
use crate::packs::Scratch;

/// Consecutive blocks of a slot that lie consecutively on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// The first block in the slot.
    pub(super) first: u8,
    /// How many.
    pub(super) run: u16,
    /// The first block on the disk.
    pub(super) block: u64,
}

impl Piece {
    /// The piece block by block.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Self> + use<> {
        let Self { first, run, block } = *self;
        let first_of = move |step: u16| first.saturating_add(u8::try_from(step).unwrap_or(u8::MAX));
        (0..run).map(move |step| Self {
            first: first_of(step),
            run: 1,
            block: block + u64::from(step),
        })
    }

    /// Where the piece lies on a disk of `disk_bytes`.
    pub(super) fn bytes(&self, disk_bytes: u64) -> Range<u64> {
        let end = (self.block + u64::from(self.run)) * BLOCK_BYTES;
        self.block * BLOCK_BYTES..end.min(disk_bytes)
    }
}

/// A stretch of leaves, inverted: by slot instead of by place.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// By slot, which is also by pack.
    pub(super) pieces: BTreeMap<SlotRef, Vec<Piece>>,
    /// Bytes that read as zeros, merged and sorted.
    pub(super) holes: Vec<Range<u64>>,
    /// Bytes that cannot be read, and why.
    pub(super) lost: Vec<(Range<u64>, Error)>,
    next_block: u64,
    end_block: u64,
    disk_bytes: u64,
}

impl Layout {
    /// What the disk has in `leaves`.
    pub(super) fn of(map: &MapReader, leaves: Range<u64>, scratch: &mut Scratch) -> Result<Self> {
        let disk_bytes = map.disk_bytes();
        let end_block = blocks(disk_bytes).min(leaves.end.saturating_mul(LEAF_BLOCKS));
        let mut layout = Self {
            next_block: leaves.start * LEAF_BLOCKS,
            end_block,
            disk_bytes,
            ..Self::default()
        };
        map.walk(&leaves, scratch, &mut |visit| {
            match visit {
                Visit::Leaf { index, leaf, .. } => layout.leaf(index * LEAF_BLOCKS, leaf),
                Visit::Inner { .. } => {}
                Visit::Unreadable { leaves: lost, error, .. } => {
                    let start = lost.start.max(leaves.start) * LEAF_BLOCKS;
                    let end = lost.end.min(leaves.end) * LEAF_BLOCKS;
                    layout.lose(start..end, error);
                }
            }
            Ok(())
        })?;
        layout.skip_to(end_block);
        Ok(layout)
    }

    fn leaf(&mut self, first: u64, leaf: &Leaf) {
        for extent in &leaf.extents {
            let start = first + u64::from(extent.start);
            let run = u64::from(extent.run).min(self.end_block.saturating_sub(start));
            let Ok(short_run) = u16::try_from(run) else { continue };
            if run == 0 {
                continue;
            }
            match extent.content {
                Content::Data { slot, first } => {
                    self.skip_to(start);
                    let piece = Piece { first, run: short_run, block: start };
                    self.pieces.entry(slot).or_default().push(piece);
                    self.next_block = start + run;
                }
                Content::Bad => {
                    let what = "its blocks were lost to damage earlier";
                    self.lose(start..start + run, Error::damaged("the map", what));
                }
            }
        }
    }

    fn lose(&mut self, blocks: Range<u64>, error: Error) {
        self.skip_to(blocks.start);
        let end = blocks.end.min(self.end_block);
        if blocks.start < end {
            let bytes = blocks.start * BLOCK_BYTES..(end * BLOCK_BYTES).min(self.disk_bytes);
            self.lost.push((bytes, error));
            self.next_block = end;
        }
    }

    /// What was passed over is a hole.
    fn skip_to(&mut self, block: u64) {
        let end = block.min(self.end_block);
        if end <= self.next_block {
            return;
        }
        let bytes = self.next_block * BLOCK_BYTES..(end * BLOCK_BYTES).min(self.disk_bytes);
        match self.holes.last_mut() {
            Some(last) if last.end == bytes.start => last.end = bytes.end,
            _ => self.holes.push(bytes),
        }
        self.next_block = end;
    }
}

/// How many leaves are laid out at once: 8 GiB, so that memory does not depend on the disk.
pub(super) const WINDOW_LEAVES: u64 = (8 << 30) / LEAF_BYTES;
