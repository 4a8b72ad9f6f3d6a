//! Reading any part of a version: what a mounted or booted backup needs.
//!
//! A read follows the map to the slots; no index of all blocks is needed, so opening a disk costs
//! the same whatever its size. Any number of threads may read at the same time: nothing is locked
//! while bytes are fetched and decoded. A block that was lost fails the reads that touch it, and
//! no others.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::ReadCache;
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::{Child, Content, Extent, Leaf};
use crate::map::MapReader;
use crate::map::geometry::{BLOCK_BYTES as BLOCK, LEAF_BLOCKS, LEAF_BYTES};
use crate::map::reader::NextLeaf;
use crate::packs::{Packs, Scratch};
use crate::size::to_usize;

/// Buffers kept for the next reads, of two MiB or so each.
const SCRATCHES_MAX: usize = 8;
/// Leaves one call of [`DiskReader::extents`] reads: 4 GiB of a full disk.
const LEAVES_MAX: usize = 256;

/// A committed version as a read-only disk.
#[derive(Debug)]
pub struct DiskReader {
    packs: Arc<Packs>,
    map: MapReader,
    cache: Arc<ReadCache>,
    scratches: Mutex<Vec<Scratch>>,
}

/// A run of bytes of a disk that are of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskExtent {
    /// How many; never 0.
    pub bytes: u64,
    /// What they are.
    pub kind: ExtentKind,
}

/// What a run of a disk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtentKind {
    /// Something is stored.
    Data,
    /// All zero; takes no space.
    Hole,
    /// Lost to damage, as far as the map tells: it cannot be read.
    Bad,
}

impl DiskReader {
    pub(crate) const fn new(packs: Arc<Packs>, map: MapReader, cache: Arc<ReadCache>) -> Self {
        Self { packs, map, cache, scratches: Mutex::new(Vec::new()) }
    }

    /// The disk's size.
    pub fn size_bytes(&self) -> u64 {
        self.map.disk_bytes()
    }

    /// Fills `into` from `offset` on. All or nothing: after an error `into` means nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] beyond the end of the disk; otherwise why the bytes cannot be had.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.check(offset, into.len() as u64)?;
        self.with_scratch(|scratch| {
            let (mut at, mut rest) = (offset, into);
            while !rest.is_empty() {
                let in_leaf = to_usize(LEAF_BYTES - at % LEAF_BYTES).min(rest.len());
                let (piece, after) = rest.split_at_mut(in_leaf);
                self.read_in_leaf(at, piece, scratch)?;
                at += piece.len() as u64;
                rest = after;
            }
            Ok(())
        })
    }

    /// What the bytes of `range` are, from its start on, as the map tells it: no data is read.
    /// Tells of less than the range if there is much to tell: at most about `most` runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] beyond the end of the disk.
    pub fn extents(&self, range: Range<u64>, most: usize) -> Result<Vec<DiskExtent>> {
        self.check(range.start, range.end.saturating_sub(range.start))?;
        self.with_scratch(|scratch| Ok(self.tell(&range, most, scratch)))
    }

    fn tell(&self, range: &Range<u64>, most: usize, scratch: &mut Scratch) -> Vec<DiskExtent> {
        let mut told = Told { extents: Vec::new(), at: range.start, end: range.end };
        for _ in 0..LEAVES_MAX {
            if told.at >= told.end || told.extents.len() >= most {
                break;
            }
            match self.map.next_leaf(told.at / LEAF_BYTES, scratch) {
                None => told.up_to(told.end, ExtentKind::Hole),
                Some(NextLeaf::Unreadable(leaves)) => {
                    told.up_to(leaves.start.saturating_mul(LEAF_BYTES), ExtentKind::Hole);
                    told.up_to(leaves.end.saturating_mul(LEAF_BYTES), ExtentKind::Bad);
                }
                Some(NextLeaf::Stored { index, child }) => {
                    let start = index * LEAF_BYTES;
                    told.up_to(start, ExtentKind::Hole);
                    match self.leaf(&child, scratch) {
                        Ok(leaf) => told.leaf(start, &leaf),
                        Err(_) => told.up_to(start + LEAF_BYTES, ExtentKind::Bad),
                    }
                }
            }
        }
        told.extents
    }

    fn check(&self, offset: u64, length: u64) -> Result<()> {
        if offset.checked_add(length).is_some_and(|end| end <= self.size_bytes()) {
            return Ok(());
        }
        Err(Error::Invalid { what: format!("byte {offset} is beyond the disk's end") })
    }

    /// Reads bytes that lie in one leaf.
    fn read_in_leaf(&self, offset: u64, into: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let Some(child) = self.map.child(0, offset / LEAF_BYTES, scratch)? else {
            into.fill(0);
            return Ok(());
        };
        let leaf = self.leaf(&child, scratch)?;
        let (mut at, mut rest) = (to_usize(offset % LEAF_BYTES), into);
        while !rest.is_empty() {
            let (run, end) = run_at(&leaf, at / BLOCK_BYTES);
            let (piece, after) = rest.split_at_mut((end * BLOCK_BYTES - at).min(rest.len()));
            match run {
                None => piece.fill(0),
                Some(extent) => self.read_in_extent(extent, at, piece, scratch)?,
            }
            at += piece.len();
            rest = after;
        }
        Ok(())
    }

    /// Reads bytes that lie in one extent; `at` counts from the leaf's first byte.
    fn read_in_extent(
        &self,
        extent: &Extent,
        at: usize,
        into: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Content::Data { slot, first } = extent.content else {
            return Err(Error::damaged("the map", "the block was lost to damage"));
        };
        let in_extent = at - usize::from(extent.start) * BLOCK_BYTES;
        let start = usize::from(first) * BLOCK_BYTES + in_extent;
        let frame = match self.frame(&slot, start..start + into.len(), scratch) {
            Err(error) if error.is_damage() => {
                return self.read_what_is_left(&slot, start, into, scratch);
            }
            frame => frame?,
        };
        let bytes = frame.get(start..start + into.len());
        let beyond = || Error::damaged("the map", "it points beyond a slot");
        into.copy_from_slice(bytes.ok_or_else(beyond)?);
        Ok(())
    }

    /// Of a slot that is damaged some blocks may be elsewhere too.
    fn read_what_is_left(
        &self,
        slot: &SlotRef,
        start: usize,
        into: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.packs.read_blocks(PackKind::Data, slot, scratch)?;
        let end = start + into.len();
        let mut blocks = start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        let lost = blocks.any(|block| u32::from(scratch.lost) >> block & 1 == 1);
        let bytes = scratch.plain.get(start..end).filter(|_| !lost);
        let gone = || Error::damaged("a pack", "the block was lost to damage");
        into.copy_from_slice(bytes.ok_or_else(gone)?);
        Ok(())
    }

    fn leaf(&self, child: &Child, scratch: &mut Scratch) -> Result<Arc<Leaf>> {
        self.cache.leaf(&child.slot, || self.map.leaf(child, scratch))
    }

    /// The frame in `slot`, decoded as far as `range` at least.
    fn frame(
        &self,
        slot: &SlotRef,
        range: Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<Arc<Vec<u8>>> {
        self.cache.frame(slot, &range, |bytes| {
            self.packs.read_slot_start(PackKind::Data, slot, bytes, scratch)?;
            Ok(scratch.plain.to_vec())
        })
    }

    /// Does `work` with buffers of its own.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> Result<T>) -> Result<T> {
        let kept = self.scratches().pop();
        let mut scratch = match kept {
            Some(scratch) => scratch,
            None => Scratch::new()?,
        };
        let done = work(&mut scratch);
        let mut scratches = self.scratches();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
        done
    }

    fn scratches(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The extent that block `block` of a leaf is in, and the first block behind it; for a hole none,
/// and where it ends.
fn run_at(leaf: &Leaf, block: usize) -> (Option<&Extent>, usize) {
    let end = |extent: &Extent| usize::from(extent.start) + usize::from(extent.run);
    let next = leaf.extents.partition_point(|extent| end(extent) <= block);
    match leaf.extents.get(next) {
        Some(extent) if usize::from(extent.start) <= block => (Some(extent), end(extent)),
        Some(extent) => (None, usize::from(extent.start)),
        None => (None, to_usize(LEAF_BLOCKS)),
    }
}

/// Extents under construction: neighbours of the same kind become one.
struct Told {
    extents: Vec<DiskExtent>,
    at: u64,
    end: u64,
}

impl Told {
    /// Everything from where we are up to byte `to` is of this kind.
    fn up_to(&mut self, to: u64, kind: ExtentKind) {
        let to = to.min(self.end);
        if to <= self.at {
            return;
        }
        let bytes = to - self.at;
        self.at = to;
        match self.extents.last_mut() {
            Some(last) if last.kind == kind => last.bytes += bytes,
            _ => self.extents.push(DiskExtent { bytes, kind }),
        }
    }

    /// What the leaf that begins at byte `start` says.
    fn leaf(&mut self, start: u64, leaf: &Leaf) {
        for extent in &leaf.extents {
            let from = start + u64::from(extent.start) * BLOCK;
            self.up_to(from, ExtentKind::Hole);
            let kind = match extent.content {
                Content::Bad => ExtentKind::Bad,
                Content::Data { .. } => ExtentKind::Data,
            };
            self.up_to(from + u64::from(extent.run) * BLOCK, kind);
        }
        self.up_to(start + LEAF_BYTES, ExtentKind::Hole);
    }
}

#[cfg(test)]
mod tests {
    use super::ExtentKind::{Bad, Data, Hole};
    use super::*;
    use crate::format::id::PackId;

    fn leaf() -> Leaf {
        let slot = SlotRef { pack: PackId([1; 16]), slot: 1, birth: 1, stored_bytes: 100 };
        let data = Content::Data { slot, first: 0 };
        let extent = |start, run, content| Extent { start, run, content };
        Leaf { extents: vec![extent(2, 3, data), extent(5, 1, Content::Bad), extent(9, 2, data)] }
    }

    #[test]
    fn each_block_of_a_leaf_is_in_one_run() {
        let leaf = leaf();
        let run = |block| {
            let (extent, end) = run_at(&leaf, block);
            (extent.map(|extent| extent.start), end)
        };
        assert_eq!((run(0), run(1)), ((None, 2), (None, 2)));
        assert_eq!((run(2), run(4)), ((Some(2), 5), (Some(2), 5)));
        assert_eq!((run(5), run(6), run(8)), ((Some(5), 6), (None, 9), (None, 9)));
        assert_eq!((run(10), run(11), run(255)), ((Some(9), 11), (None, 256), (None, 256)));
    }

    #[test]
    fn what_is_told_begins_where_it_was_asked_and_names_what_is_lost() {
        let tell = |range: Range<u64>| {
            let mut told = Told { extents: Vec::new(), at: range.start, end: range.end };
            told.leaf(LEAF_BYTES, &leaf());
            told.extents.iter().map(|run| (run.bytes, run.kind)).collect::<Vec<_>>()
        };
        let start = LEAF_BYTES + 3 * BLOCK + 5;
        let expected = [(2 * BLOCK - 5, Data), (BLOCK, Bad), (3 * BLOCK, Hole), (7, Data)];
        assert_eq!(tell(start..LEAF_BYTES + 9 * BLOCK + 7), expected);
        assert_eq!(tell(LEAF_BYTES..LEAF_BYTES + 1), [(1, Hole)]);
    }
}
