//! Building the map of a new version from the leaves that a backup visited.
//!
//! Leaves arrive in any order. An inner node is written as soon as all of its visited children
//! have arrived, so only the few nodes on the way to leaves being worked on are in memory. A node
//! whose children are all as before is not written: the pointer to the parent's node stays.
//!
//! What the new map no longer points to is collected here as deaths, blocks and nodes alike.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::borrowings::Borrowings;
use super::cells;
use super::geometry::{FANOUT, LEAF_BLOCKS, leaves, leaves_below, root_level};
use super::reader::{MapReader, Visit};
use crate::crypto::BlockHasher;
use crate::error::{Error, Result};
use crate::format::deaths::Deaths;
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::{Child, Inner, Leaf, node_hash};
use crate::format::record::{Borrowed, Root};
use crate::format::references::References;
use crate::packs::Scratch;
use crate::size::to_usize;
use crate::write::encoder::ProvingEncoder;
use crate::write::packer::Packer;
use crate::write::plan::Plan;

/// Map nodes are small and read often; a little more effort than for data pays.
const NODE_ZSTD_LEVEL: i32 = 3;

/// A map under construction.
pub(crate) struct Assembler<'a> {
    plan: &'a Plan,
    parent: Option<&'a MapReader>,
    packer: &'a Packer<'a>,
    hasher: &'a BlockHasher,
    height: u8,
    state: Mutex<State>,
}

struct State {
    encoder: ProvingEncoder,
    scratch: Scratch,
    open: HashMap<(u8, u64), Open>,
    root: Option<Child>,
    dead: Vec<(PackKind, SlotRef)>,
    lists: Vec<SlotRef>,
    borrowed: Borrowings,
    died_bytes: BTreeMap<u64, u64>,
    used_blocks_gained: u64,
    used_blocks_lost: u64,
}

/// An inner node that waits for children.
struct Open {
    old: Option<Child>,
    /// The parent's node here cannot be read; nothing of it is taken over.
    lost: Option<Child>,
    before: BTreeMap<u8, Child>,
    children: BTreeMap<u8, Child>,
    waiting: usize,
}

/// A leaf that was visited.
pub(crate) struct LeafDone {
    pub(crate) index: u64,
    /// The parent version's leaf and its cells, all 256 of them.
    pub(crate) old: Option<(Child, Vec<cells::Cell>)>,
    /// Instead of `old`: the pointer to a leaf that cannot be read.
    pub(crate) lost: Option<Child>,
    pub(crate) new: Vec<cells::Cell>,
    /// The slots that were stored for it.
    pub(crate) stored: Vec<SlotRef>,
}

/// What the parent version has where a leaf belongs.
pub(crate) enum ParentLeaf {
    /// Nothing but zeros, or there is no parent.
    Zeros,
    /// A leaf.
    Known(Child, Leaf),
    /// Nobody knows: it, or a node above it, cannot be read. All of its blocks are read anew.
    Unreadable(Option<Child>),
}

/// A finished map.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) root: Root,
    /// The slots that hold the death lists.
    pub(crate) lists: Vec<SlotRef>,
    pub(crate) died_bytes: BTreeMap<u64, u64>,
    /// Of a domain whose chains share blocks.
    pub(crate) borrowed: Option<Borrowed>,
    pub(crate) used_blocks_gained: u64,
    pub(crate) used_blocks_lost: u64,
}

impl<'a> Assembler<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        parent: Option<&'a MapReader>,
        packer: &'a Packer<'a>,
        hasher: &'a BlockHasher,
    ) -> Result<Self> {
        let state = State {
            encoder: ProvingEncoder::new(NODE_ZSTD_LEVEL)?,
            scratch: Scratch::new()?,
            open: HashMap::new(),
            root: None,
            dead: Vec::new(),
            lists: Vec::new(),
            borrowed: Borrowings::default(),
            died_bytes: BTreeMap::new(),
            used_blocks_gained: 0,
            used_blocks_lost: 0,
        };
        let height = root_level(plan.disk_bytes());
        Ok(Self { plan, parent, packer, hasher, height, state: Mutex::new(state) })
    }

    /// Takes over a leaf of the plan; each exactly once.
    pub(crate) fn leaf_done(&self, done: LeafDone) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        state.used_blocks_gained += cells::used(&done.new);
        let old_child = done.old.as_ref().map(|(child, _)| *child).or(done.lost);
        if let Some((child, old)) = &done.old {
            state.used_blocks_lost += cells::used(old);
            let is_same = old.iter().zip(&done.new).all(|(a, b)| a == b)
                && old[done.new.len()..].iter().all(|cell| *cell == cells::Cell::Hole);
            if is_same {
                return self.child_done(state, 0, done.index, Some(*child));
            }
            for slot in cells::died(old, &done.new) {
                self.bury(state, PackKind::Data, slot)?;
            }
        }
        if let Some(child) = old_child {
            self.bury(state, PackKind::Meta, child.slot)?;
        }
        let this = self.finisher();
        for slot in cells::born(&done.new, self.packer.seq(), &done.stored) {
            this.borrow(state, slot)?;
        }
        let new = match cells::gather(&done.new) {
            None => None,
            Some(leaf) => Some(self.write(state, &leaf.encode())?),
        };
        self.child_done(state, 0, done.index, new)
    }

    /// The parent version's leaf at this place.
    ///
    /// # Errors
    /// Damage, where blocks are to be taken over unread: what they are is not known.
    pub(crate) fn parent_leaf(&self, index: u64, scratch: &mut Scratch) -> Result<ParentLeaf> {
        let Some(parent) = self.parent else { return Ok(ParentLeaf::Zeros) };
        let child = match self.unless_damaged(parent.child(0, index, scratch))? {
            None => return Ok(ParentLeaf::Unreadable(None)),
            Some(None) => return Ok(ParentLeaf::Zeros),
            Some(Some(child)) => child,
        };
        Ok(match self.unless_damaged(parent.leaf(&child, scratch))? {
            Some(leaf) => ParentLeaf::Known(child, leaf),
            None => ParentLeaf::Unreadable(Some(child)),
        })
    }

    /// `None` for damage, if everything is read anyway.
    ///
    /// What lies below an unreadable node cannot be buried: its slots stay until the packs they
    /// are in go.
    fn unless_damaged<T>(&self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_damage() && self.plan.is_whole() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "blocks under an unreadable map node are stored again");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the construction. Every leaf of the plan must have been taken over.
    pub(crate) fn finish(&self) -> Result<Assembled> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let this = self.finisher();
        if !state.open.is_empty() {
            return Err(Error::SelfCheck { what: "a map node was left open".to_owned() });
        }
        let disk_bytes = self.plan.disk_bytes();
        if let Some(parent) = self.parent {
            if self.plan.leaves().is_empty() && parent.disk_bytes() == disk_bytes {
                state.root = parent.root().node;
            }
            if parent.disk_bytes() > disk_bytes {
                this.bury_beyond(state, parent, disk_bytes, self.height)?;
            }
        }
        this.write_list(state)?;
        this.write_borrowed(state)?;
        let borrowed = std::mem::take(&mut state.borrowed).into_record();
        Ok(Assembled {
            borrowed: self.packer.is_sharing().then_some(borrowed),
            root: Root { height: self.height, node: state.root },
            lists: std::mem::take(&mut state.lists),
            died_bytes: std::mem::take(&mut state.died_bytes),
            used_blocks_gained: state.used_blocks_gained,
            used_blocks_lost: state.used_blocks_lost,
        })
    }

    /// Puts a finished node into the one above, and goes on upwards while nodes become complete.
    fn child_done(
        &self,
        state: &mut State,
        mut level: u8,
        mut index: u64,
        mut child: Option<Child>,
    ) -> Result<()> {
        while level < self.height {
            let position = u8::try_from(index % FANOUT).expect("a position is below 256");
            (level, index) = (level + 1, index / FANOUT);
            if !state.open.contains_key(&(level, index)) {
                let open = self.open(level, index, &mut state.scratch)?;
                state.open.insert((level, index), open);
            }
            let Some(open) = state.open.get_mut(&(level, index)) else { return Ok(()) };
            match child {
                Some(child) => open.children.insert(position, child),
                None => open.children.remove(&position),
            };
            open.waiting = open.waiting.saturating_sub(1);
            if open.waiting > 0 {
                return Ok(());
            }
            let Some(open) = state.open.remove(&(level, index)) else { return Ok(()) };
            child = self.close(state, level, open)?;
        }
        state.root = child;
        Ok(())
    }

    fn open(&self, level: u8, index: u64, scratch: &mut Scratch) -> Result<Open> {
        let below = leaves_below(level - 1);
        let covered = |position: u64| -> Range<u64> {
            let start = (index * FANOUT + position) * below;
            start..start + below
        };
        let waiting = (0..FANOUT).filter(|at| self.plan.visits(&covered(*at))).count();
        let nothing = |lost| {
            let (before, children) = (BTreeMap::new(), BTreeMap::new());
            Open { old: None, lost, before, children, waiting }
        };
        let Some(parent) = self.parent else { return Ok(nothing(None)) };
        let Some(old) = self.unless_damaged(parent.child(level, index, scratch))? else {
            return Ok(nothing(None));
        };
        let before = self.unless_damaged(parent.children(level, index, scratch))?;
        let Some(before) = before else { return Ok(nothing(old)) };
        let before: BTreeMap<u8, Child> = before.into_iter().collect();
        let mut children = before.clone();
        // A disk that shrank has no leaves beyond its end; they are buried at the end.
        let end = leaves(self.plan.disk_bytes());
        children.retain(|position, _| covered(u64::from(*position)).start < end);
        Ok(Open { old, lost: None, before, children, waiting })
    }

    fn close(&self, state: &mut State, level: u8, open: Open) -> Result<Option<Child>> {
        if open.old.is_some() && open.before == open.children {
            return Ok(open.old);
        }
        if let Some(old) = open.old.or(open.lost) {
            self.bury(state, PackKind::Meta, old.slot)?;
        }
        if open.children.is_empty() {
            return Ok(None);
        }
        let inner = Inner { level, children: open.children.into_iter().collect() };
        self.write(state, &inner.encode()).map(Some)
    }

    const fn finisher(&self) -> Finisher<'a> {
        Finisher { packer: self.packer, hasher: self.hasher }
    }

    fn write(&self, state: &mut State, encoded: &[u8]) -> Result<Child> {
        self.finisher().write(state, encoded)
    }

    fn bury(&self, state: &mut State, kind: PackKind, slot: SlotRef) -> Result<()> {
        self.finisher().bury(state, kind, slot)
    }
}

/// What writes, apart from what is written about.
struct Finisher<'a> {
    packer: &'a Packer<'a>,
    hasher: &'a BlockHasher,
}

impl Finisher<'_> {
    fn write(&self, state: &mut State, plain: &[u8]) -> Result<Child> {
        let slot = self.write_slot(state, plain)?;
        Ok(Child { slot, hash: node_hash(plain) })
    }

    fn write_slot(&self, state: &mut State, plain: &[u8]) -> Result<SlotRef> {
        let proven = state.encoder.encode(plain)?;
        self.packer.append(&proven, &[self.hasher.id(plain)])
    }

    fn bury(&self, state: &mut State, kind: PackKind, slot: SlotRef) -> Result<()> {
        *state.died_bytes.entry(slot.birth).or_default() += u64::from(slot.stored_bytes);
        state.dead.push((kind, slot));
        if state.dead.len() >= Deaths::DEAD_MAX { self.write_list(state) } else { Ok(()) }
    }

    fn write_list(&self, state: &mut State) -> Result<()> {
        if state.dead.is_empty() {
            return Ok(());
        }
        let mut dead = std::mem::take(&mut state.dead);
        let list = if self.packer.is_sharing() {
            References::of(dead).encode()
        } else {
            dead.sort_unstable();
            Deaths { dead }.encode()
        };
        let slot = self.write_slot(state, &list)?;
        state.lists.push(slot);
        Ok(())
    }

    fn borrow(&self, state: &mut State, slot: SlotRef) -> Result<()> {
        state.borrowed.add(slot);
        if state.borrowed.is_full() { self.write_borrowed(state) } else { Ok(()) }
    }

    fn write_borrowed(&self, state: &mut State) -> Result<()> {
        let Some(list) = state.borrowed.take_list() else { return Ok(()) };
        let slot = self.write_slot(state, &list.encode())?;
        state.borrowed.lists.push(slot);
        Ok(())
    }

    /// Everything that only the larger, old disk had dies.
    fn bury_beyond(
        &self,
        state: &mut State,
        parent: &MapReader,
        disk_bytes: u64,
        height: u8,
    ) -> Result<()> {
        let end = leaves(disk_bytes);
        let mut scratch = Scratch::new()?;
        let mut visit = |visit: Visit<'_>| match visit {
            Visit::Leaf { child, leaf, .. } => {
                let old = cells::spread(leaf, to_usize(LEAF_BLOCKS));
                state.used_blocks_lost += cells::used(&old);
                for slot in cells::died(&old, &[]) {
                    self.bury(state, PackKind::Data, slot)?;
                }
                self.bury(state, PackKind::Meta, child.slot)
            }
            // Nodes that also cover what is left were replaced or taken over.
            Visit::Inner { child, level, first } if first >= end || level > height => {
                self.bury(state, PackKind::Meta, child.slot)
            }
            Visit::Inner { .. } => Ok(()),
            Visit::Unreadable { child, leaves, error } if error.is_damage() => {
                if leaves.start >= end {
                    self.bury(state, PackKind::Meta, child.slot)
                } else {
                    Ok(())
                }
            }
            Visit::Unreadable { error, .. } => Err(error),
        };
        parent.walk(&(end..u64::MAX), &mut scratch, &mut visit)
    }
}
