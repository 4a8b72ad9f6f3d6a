//! The second proof: what is about to go is not reached from the map of any version that stays.
//!
//! Births, deaths and borrowings say what is needed without reading a map. Before anything is removed the maps
//! are asked too, by other code: a bug in the bookkeeping must not be able to cost data. So that a
//! deletion does not have to read all maps each time,
//!
//! - only what is about to go is looked for, so no set of everything that lives is needed;
//! - what is older than all of it is not entered: a node points to nothing younger than itself, but
//!   for what it borrows;
//! - which packs are used below a node of level 1 (4 GiB of a disk) is remembered: about a kilobyte
//!   each, [`REMEMBERED_MAX`] of them. So in a process that goes on a deletion reads the nodes that are new
//!   to it, however many versions there are.
//!
//! A node that cannot be read proves nothing. What is below it is left to the first proof (P5).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::PackName;
use crate::error::{Error, Result};
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::{Child, Content, Leaf};
use crate::map::MapReader;
use crate::packs::Scratch;

/// How many nodes are remembered, over all chains: 256 TiB of maps.
const REMEMBERED_MAX: usize = 65_536;

/// Which packs are used below nodes of level 1. Nodes never change, so this stays true.
#[derive(Debug, Default)]
pub(crate) struct KnownBelow(Mutex<HashMap<Child, Below>>);

/// Which packs a node's children use, but for those born before `since`, which were not read. Children that
/// are older than all that goes do not point to any of it, so whoever asks about younger things only
/// misses nothing.
#[derive(Clone, Debug)]
struct Below {
    since: u64,
    packs: Arc<BTreeSet<PackName>>,
}

/// What is about to go.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// `None`: all slots of the pack.
    pub(super) slots: BTreeMap<PackName, Option<BTreeSet<u32>>>,
    /// By chain: no version before this one points to any of them. None points to any if the chain
    /// is not named.
    pub(super) oldest_births: BTreeMap<usize, u64>,
}

/// Looks for the candidates in maps.
pub(super) struct Proof<'a> {
    pub(super) known: &'a KnownBelow,
    pub(super) candidates: &'a Candidates,
    scratch: Scratch,
    seen: HashSet<Child>,
    /// The packs of leaves that were read: versions share most of their leaves.
    leaves: HashMap<Child, BTreeSet<PackName>>,
    oldest_birth: u64,
    /// The candidates that were met.
    pub(super) needed: BTreeSet<PackName>,
}

impl<'a> Proof<'a> {
    pub(super) fn new(known: &'a KnownBelow, candidates: &'a Candidates) -> Result<Self> {
        let (seen, leaves, needed) = (HashSet::new(), HashMap::new(), BTreeSet::new());
        let (scratch, oldest_birth) = (Scratch::reading_ahead()?, 0);
        Ok(Self { known, candidates, scratch, seen, leaves, oldest_birth, needed })
    }

    /// Looks through the map of a version of the chain.
    pub(super) fn follow(&mut self, chain: usize, map: &MapReader) -> Result<()> {
        let Some(oldest_birth) = self.candidates.oldest_births.get(&chain) else { return Ok(()) };
        self.oldest_birth = *oldest_birth;
        let root = map.root();
        let Some(node) = root.node else { return Ok(()) };
        self.slot(PackKind::Meta, &node.slot);
        self.node(map, &node, root.height)
    }

    fn node(&mut self, map: &MapReader, child: &Child, level: u8) -> Result<()> {
        if child.slot.birth < self.oldest_birth || !self.seen.insert(*child) {
            return Ok(());
        }
        match level {
            0 => self.leaf(map, child, &mut BTreeSet::new()).map(drop),
            1 => self.parent_of_leaves(map, child),
            _ => {
                let inner = map.inner(child, level, &mut self.scratch);
                let Some(inner) = readable(inner)? else { return Ok(()) };
                for (_, below) in &inner.children {
                    self.slot(PackKind::Meta, &below.slot);
                    self.node(map, below, level - 1)?;
                }
                Ok(())
            }
        }
    }

    fn parent_of_leaves(&mut self, map: &MapReader, child: &Child) -> Result<()> {
        if let Some(below) = self.known.get(child)
            && below.since <= self.oldest_birth
            && below.packs.iter().all(|pack| !self.candidates.slots.contains_key(pack))
        {
            return Ok(());
        }
        let inner = map.inner(child, 1, &mut self.scratch);
        let Some(inner) = readable(inner)? else { return Ok(()) };
        let (mut packs, mut since, mut is_complete) = (BTreeSet::new(), 0, true);
        for (_, below) in &inner.children {
            self.slot(PackKind::Meta, &below.slot);
            packs.insert((PackKind::Meta, below.slot.pack));
            if below.slot.birth < self.oldest_birth {
                since = since.max(below.slot.birth + 1);
            } else {
                is_complete &= self.leaf(map, below, &mut packs)?;
            }
        }
        if is_complete {
            self.known.put(*child, Below { since, packs: Arc::new(packs) });
        }
        Ok(())
    }

    /// False if the leaf cannot be read.
    fn leaf(
        &mut self,
        map: &MapReader,
        child: &Child,
        packs: &mut BTreeSet<PackName>,
    ) -> Result<bool> {
        if let Some(known) = self.leaves.get(child) {
            packs.extend(known);
            return Ok(true);
        }
        let leaf: Option<Leaf> = readable(map.leaf(child, &mut self.scratch))?;
        let Some(leaf) = leaf else { return Ok(false) };
        let mut here = BTreeSet::new();
        for extent in &leaf.extents {
            if let Content::Data { slot, .. } = extent.content {
                here.insert((PackKind::Data, slot.pack));
                self.slot(PackKind::Data, &slot);
            }
        }
        packs.extend(&here);
        if self.leaves.len() < REMEMBERED_MAX {
            self.leaves.insert(*child, here);
        }
        Ok(true)
    }

    /// A map points to this slot.
    fn slot(&mut self, kind: PackKind, slot: &SlotRef) {
        let name = (kind, slot.pack);
        let is_candidate = match self.candidates.slots.get(&name) {
            None => false,
            Some(None) => true,
            Some(Some(slots)) => slots.contains(&slot.slot),
        };
        if is_candidate {
            self.needed.insert(name);
        }
    }
}

impl KnownBelow {
    fn get(&self, child: &Child) -> Option<Below> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(child).cloned()
    }

    fn put(&self, child: Child, below: Below) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        // What is known of more children stays.
        if known.get(&child).is_none_or(|before| before.since > below.since) {
            known.insert(child, below);
        }
    }
}

/// What was read, or nothing where there is damage.
fn readable<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a map proves nothing here");
            Ok(None)
        }
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
