//! Comparing and storing blocks: one worker per lane.
//!
//! Per block: is it zero, is it what the parent has there, else it is gathered with other changed
//! blocks of its leaf into a frame, compressed, and handed to the packer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::borrow::{Run, Step};
use super::encoder::ProvingEncoder;
use super::packer::Packer;
use super::plan::Action;
use super::reader::Item;
use super::stop::{Stop, Stopped};
use crate::crypto::{BlockHasher, BlockId};
use crate::dedup::{Borrower, Found};
use crate::error::Result;
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackId, PackKind, SlotRef};
use crate::format::node::Child;
use crate::format::pack::PackIndex;
use crate::heal::Healer;
use crate::map::Assembler;
use crate::map::assembler::{LeafDone, ParentLeaf};
use crate::map::cells::{Cell, spread};
use crate::map::geometry::LEAF_BLOCKS;
use crate::packs::{Packs, Scratch, find};
use crate::size::to_usize;

static ZERO_BLOCK: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// What all workers share.
pub(super) struct Shared<'a> {
    pub(super) packs: &'a Packs,
    pub(super) packer: &'a Packer<'a>,
    pub(super) assembler: &'a Assembler<'a>,
    pub(super) hasher: &'a BlockHasher,
    pub(super) stop: &'a Stop,
    pub(super) frame_blocks: usize,
    pub(super) zstd_level: i32,
    pub(super) changed_blocks: &'a AtomicU64,
    /// What earlier versions have lost, and gets it back; none if nothing is known to be lost.
    pub(super) healer: Option<&'a Healer<'a>>,
    pub(super) borrowed_blocks: &'a AtomicU64,
    /// Where blocks are shared: what finds them.
    pub(super) borrower: Option<&'a Borrower>,
    /// The fewest blocks in a row that are borrowed.
    pub(super) borrow_run_blocks: usize,
}

/// One worker.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    encoder: ProvingEncoder,
    scratch: Scratch,
    /// Tables of the packs that the leaf in work points to.
    indexes: HashMap<PackId, Option<Arc<PackIndex>>>,
    leaf: Work,
    run: Run,
}

/// The leaf in work.
#[derive(Default)]
struct Work {
    index: u64,
    old: Option<(Child, Vec<Cell>)>,
    lost: Option<Child>,
    new: Vec<Cell>,
    /// The frame being gathered: its plain bytes, the ids, and where in the leaf the blocks are.
    plain: Vec<u8>,
    ids: Vec<BlockId>,
    places: Vec<usize>,
    /// The slots that were stored for this leaf.
    stored: Vec<SlotRef>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Result<Self> {
        Ok(Self {
            shared,
            encoder: ProvingEncoder::new(shared.zstd_level)?,
            scratch: Scratch::new()?,
            indexes: HashMap::new(),
            leaf: Work::default(),
            run: Run::new(shared.borrow_run_blocks),
        })
    }

    /// Works until the reader has nothing more.
    pub(super) fn run(
        mut self,
        items: &Receiver<Item>,
        free: &Sender<Vec<u8>>,
    ) -> Result<(), Stopped> {
        for item in items {
            self.take(item, free)?;
        }
        Ok(())
    }

    /// Deals with one item, and gives its buffer back.
    pub(super) fn take(&mut self, item: Item, free: &Sender<Vec<u8>>) -> Result<(), Stopped> {
        let stop = self.shared.stop;
        match item {
            Item::Leaf { leaf, actions } => stop.check(self.begin(leaf, &actions)),
            Item::Blocks { first, bytes } => {
                stop.check(self.blocks(first, &bytes))?;
                // The reader may have finished already.
                free.send(bytes).unwrap_or_default();
                Ok(())
            }
            Item::End => stop.check(self.end()),
        }
    }

    fn begin(&mut self, index: u64, actions: &[Action]) -> Result<()> {
        let (old, lost) = match self.shared.assembler.parent_leaf(index, &mut self.scratch)? {
            ParentLeaf::Zeros => (None, None),
            ParentLeaf::Known(child, leaf) => {
                (Some((child, spread(&leaf, to_usize(LEAF_BLOCKS)))), None)
            }
            ParentLeaf::Unreadable(lost) => (None, lost),
        };
        let cell = |at: usize| old.as_ref().map_or(Cell::Hole, |(_, cells)| cells[at]);
        self.leaf.new = (0..actions.len())
            .map(|at| if actions[at] == Action::Hole { Cell::Hole } else { cell(at) })
            .collect();
        self.leaf.index = index;
        (self.leaf.old, self.leaf.lost) = (old, lost);
        self.indexes.clear();
        Ok(())
    }

    fn blocks(&mut self, first: usize, bytes: &[u8]) -> Result<()> {
        for (at, block) in (first..).zip(bytes.chunks_exact(BLOCK_BYTES)) {
            if block == ZERO_BLOCK {
                self.leaf.new[at] = Cell::Hole;
                continue;
            }
            let id = self.shared.hasher.id(block);
            if let Some(healer) = self.shared.healer {
                healer.offer((self.leaf.index, at), &id, block)?;
            }
            if self.is_as_before(at, &id)? {
                continue;
            }
            if let Some(borrower) = self.shared.borrower
                && self.borrow(borrower, at, id, block)?
            {
                continue;
            }
            self.gather(at, id, block)?;
        }
        Ok(())
    }

    /// Adds a block to the frame.
    fn gather(&mut self, at: usize, id: BlockId, block: &[u8]) -> Result<()> {
        self.leaf.plain.extend_from_slice(block);
        self.leaf.ids.push(id);
        self.leaf.places.push(at);
        if self.leaf.places.len() >= self.shared.frame_blocks { self.store_frame() } else { Ok(()) }
    }

    /// Points to where the block is stored already; false if it is to be stored.
    fn borrow(
        &mut self,
        borrower: &Borrower,
        at: usize,
        id: BlockId,
        block: &[u8],
    ) -> Result<bool> {
        // What is known to be damaged is not spread (I23).
        let distrusts =
            |found: &Found| self.shared.healer.is_some_and(|healer| healer.distrusts(&found.slot));
        let found = borrower.find(&id, &mut self.run.recent)?.filter(|found| !distrusts(found));
        let Some(found) = found else {
            self.end_run()?;
            return Ok(false);
        };
        if found.is_near {
            self.point(&[(at, found)]);
            return Ok(true);
        }
        if !self.run.continues(at) {
            self.end_run()?;
        }
        if let Step::Borrow(blocks) = self.run.add(at, block, id, found) {
            self.point(&blocks);
        }
        Ok(true)
    }

    fn point(&mut self, blocks: &[(usize, Found)]) {
        for (at, found) in blocks {
            self.leaf.new[*at] = Cell::Data { slot: found.slot, index: found.index };
        }
        let count = blocks.len() as u64;
        self.shared.changed_blocks.fetch_add(count, Ordering::Relaxed);
        self.shared.borrowed_blocks.fetch_add(count, Ordering::Relaxed);
    }

    /// Stores what was held back in the hope of a longer run.
    fn end_run(&mut self) -> Result<()> {
        let mut run = std::mem::replace(&mut self.run, Run::new(0));
        let mut stored = Ok(());
        run.end(|at, id, block| {
            if stored.is_ok() {
                stored = self.gather(at, id, block);
            }
        });
        self.run = run;
        stored
    }

    /// Whether the parent has a block of this id at this place.
    fn is_as_before(&mut self, at: usize, id: &BlockId) -> Result<bool> {
        // Nothing has been decided about this block yet, so the new cell still is the old one.
        let Cell::Data { slot, index } = self.leaf.new[at] else { return Ok(false) };
        if self.shared.healer.is_some_and(|healer| healer.distrusts(&slot)) {
            return Ok(false);
        }
        let Some(tables) = self.tables(slot.pack)? else { return Ok(false) };
        let known = find(tables, &slot).map(|entry| tables.ids(entry).get(usize::from(index)));
        // A pointer that leads nowhere is not followed again: the block is stored anew (P5).
        Ok(matches!(known, Ok(Some(known)) if known == id))
    }

    /// The tables of a pack of the parent, or `None` if they are damaged or gone.
    fn tables(&mut self, pack: PackId) -> Result<Option<&PackIndex>> {
        if !self.indexes.contains_key(&pack) {
            let tables = match self.shared.packs.index(PackKind::Data, pack) {
                Ok(tables) => Some(tables),
                Err(error) if error.is_damage() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%pack, error, "blocks of an unreadable pack are stored again");
                    None
                }
                Err(error) => return Err(error),
            };
            self.indexes.insert(pack, tables);
        }
        Ok(self.indexes.get(&pack).and_then(Option::as_deref))
    }

    fn store_frame(&mut self) -> Result<()> {
        let leaf = &mut self.leaf;
        if leaf.places.is_empty() {
            return Ok(());
        }
        let proven = self.encoder.encode(&leaf.plain)?;
        let slot = self.shared.packer.append(&proven, &leaf.ids)?;
        for (index, at) in (0_u8..).zip(&leaf.places) {
            leaf.new[*at] = Cell::Data { slot, index };
        }
        if let Some(borrower) = self.shared.borrower {
            borrower.stored(slot, &leaf.ids);
        }
        leaf.stored.push(slot);
        self.shared.changed_blocks.fetch_add(leaf.places.len() as u64, Ordering::Relaxed);
        leaf.plain.clear();
        leaf.ids.clear();
        leaf.places.clear();
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.end_run()?;
        self.store_frame()?;
        let (old, new) = (self.leaf.old.take(), std::mem::take(&mut self.leaf.new));
        let (index, lost) = (self.leaf.index, self.leaf.lost.take());
        let stored = std::mem::take(&mut self.leaf.stored);
        self.shared.assembler.leaf_done(LeafDone { index, old, lost, new, stored })
    }
}
