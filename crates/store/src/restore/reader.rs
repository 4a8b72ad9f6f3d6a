//! Reading any part of a version: what a mounted or booted backup needs.
//!
//! A read follows the map to the slots; no index of all blocks is needed. The last decoded frames
//! and leaves are kept, because neighbours are usually read next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackKind, SlotRef};
use crate::map::MapReader;
use crate::map::cells::{Cell, spread};
use crate::map::geometry::{BLOCK_BYTES as BLOCK, LEAF_BLOCKS};
use crate::packs::{Packs, Scratch};
use crate::size::to_usize;

/// Decoded frames that are kept, of 1 MiB at most.
const FRAMES_MAX: usize = 16;
/// Leaves that are kept.
const LEAVES_MAX: usize = 64;

/// A committed version as a read-only disk.
#[derive(Debug)]
pub struct DiskReader {
    packs: Arc<Packs>,
    map: MapReader,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scratch: Scratch,
    frames: Recent<SlotRef, Arc<Vec<u8>>>,
    leaves: Recent<u64, Arc<Vec<Cell>>>,
}

impl DiskReader {
    pub(crate) fn new(packs: Arc<Packs>, map: MapReader) -> Result<Self> {
        let state = State {
            scratch: Scratch::new()?,
            frames: Recent::new(FRAMES_MAX),
            leaves: Recent::new(LEAVES_MAX),
        };
        Ok(Self { packs, map, state: Mutex::new(state) })
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
        let end = offset.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes()) {
            return Err(Error::Invalid { what: format!("byte {offset} is beyond the disk's end") });
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut at, mut rest) = (offset, into);
        while !rest.is_empty() {
            let skip = to_usize(at % BLOCK);
            let (piece, after) = rest.split_at_mut((BLOCK_BYTES - skip).min(rest.len()));
            self.read_in_block(at / BLOCK, skip, piece, &mut state)?;
            at += piece.len() as u64;
            rest = after;
        }
        Ok(())
    }

    fn read_in_block(
        &self,
        block: u64,
        skip: usize,
        into: &mut [u8],
        state: &mut State,
    ) -> Result<()> {
        let cells = self.cells(block / LEAF_BLOCKS, state)?;
        match cells[to_usize(block % LEAF_BLOCKS)] {
            Cell::Hole => into.fill(0),
            Cell::Bad => return Err(Error::damaged("the map", "the block was lost to damage")),
            Cell::Data { slot, index } => {
                let frame = self.frame(&slot, state)?;
                let start = usize::from(index) * BLOCK_BYTES + skip;
                let bytes = frame.get(start..start + into.len());
                let beyond = || Error::damaged("the map", "it points beyond a slot");
                into.copy_from_slice(bytes.ok_or_else(beyond)?);
            }
        }
        Ok(())
    }

    fn cells(&self, leaf: u64, state: &mut State) -> Result<Arc<Vec<Cell>>> {
        if let Some(cells) = state.leaves.get(&leaf) {
            return Ok(cells);
        }
        let blocks = to_usize(LEAF_BLOCKS);
        let cells = match self.map.child(0, leaf, &mut state.scratch)? {
            Some(child) => spread(&self.map.leaf(&child, &mut state.scratch)?, blocks),
            None => vec![Cell::Hole; blocks],
        };
        Ok(state.leaves.put(leaf, Arc::new(cells)))
    }

    fn frame(&self, slot: &SlotRef, state: &mut State) -> Result<Arc<Vec<u8>>> {
        if let Some(frame) = state.frames.get(slot) {
            return Ok(frame);
        }
        self.packs.read_slot(PackKind::Data, slot, &mut state.scratch)?;
        let frame = Arc::new(state.scratch.plain.clone());
        Ok(state.frames.put(*slot, frame))
    }
}

/// The last few values, the most recent first.
#[derive(Debug)]
struct Recent<K, V> {
    entries: VecDeque<(K, V)>,
    max: usize,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    fn new(max: usize) -> Self {
        Self { entries: VecDeque::with_capacity(max), max }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        let at = self.entries.iter().position(|(known, _)| known == key)?;
        let entry = self.entries.remove(at)?;
        let value = entry.1.clone();
        self.entries.push_front(entry);
        Some(value)
    }

    fn put(&mut self, key: K, value: V) -> V {
        self.entries.truncate(self.max - 1);
        self.entries.push_front((key, value.clone()));
        value
    }
}
