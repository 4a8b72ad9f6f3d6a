//! The second proof: what is about to go is not reached from the map of any version that stays.
//!
//! Births, deaths and borrowings say what is needed without reading a map. Before anything is removed the maps
//! are asked too, by other code: a bug in the bookkeeping must not be able to cost data. So that a
//! deletion does not have to read all maps each time,
//!
//! - only what is about to go is looked for, so no set of everything that lives is needed;
//! - what is older than all of it is not entered: a node points to nothing younger than itself, but
//!   for what it borrows;
//! - what was read of a node is remembered (`memory.rs`), slot by slot. So in a process that goes on a deletion
//!   reads the nodes that are new to it, however many versions there are and whichever packs lose something;
//! - where there is a cache, a new process begins with what others have read (`kept/`).
//!
//! A node that cannot be read proves nothing. What is below it is left to the first proof (P5).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::kept::KeptDomain;
use super::memory::{Below, KnownMaps, MapMemory, NodeId, Run, children_of, runs_of};
use super::plan::PackName;
use crate::error::{Error, Result};
use crate::format::id::{DomainId, PackKind, SlotRef};
use crate::format::node::Child;
use crate::map::MapReader;
use crate::packs::Scratch;

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
    known: &'a KnownMaps,
    /// What other processes left of the domain, and where this one leaves what it reads.
    kept: Option<KeptDomain<'a>>,
    domain: DomainId,
    /// What is known of the domain's maps; kept again when the proof ends, however it ends.
    memory: MapMemory,
    candidates: &'a Candidates,
    scratch: Scratch,
    /// Nodes that were looked at and for which there was no room in memory.
    seen: HashSet<Child>,
    chain: Option<usize>,
    oldest_birth: u64,
    /// The candidates that were met.
    pub(super) needed: BTreeSet<PackName>,
}

impl<'a> Proof<'a> {
    pub(super) fn new(
        known: &'a KnownMaps,
        kept: Option<KeptDomain<'a>>,
        domain: DomainId,
        candidates: &'a Candidates,
    ) -> Result<Self> {
        let scratch = Scratch::reading_ahead()?;
        let mut memory = known.take(&domain);
        if let Some(kept) = &kept {
            kept.load(&mut memory);
        }
        Ok(Self {
            known,
            kept,
            domain,
            memory,
            candidates,
            scratch,
            seen: HashSet::new(),
            chain: None,
            oldest_birth: 0,
            needed: BTreeSet::new(),
        })
    }

    /// Looks through the map of a version of the chain.
    pub(super) fn follow(&mut self, chain: usize, map: &MapReader) -> Result<()> {
        let Some(oldest_birth) = self.candidates.oldest_births.get(&chain) else { return Ok(()) };
        if self.chain != Some(chain) {
            // What was not entered for another chain may have to be for this one.
            self.memory.begin_walk();
            self.seen.clear();
            (self.chain, self.oldest_birth) = (Some(chain), *oldest_birth);
        }
        let root = map.root();
        root.node.map_or(Ok(()), |node| self.child(map, &node, root.height))
    }

    /// Looks at the node behind a pointer.
    fn child(&mut self, map: &MapReader, child: &Child, level: u8) -> Result<()> {
        if let Some(id) = self.memory.place(child) {
            return self.node(map, id, level);
        }
        if !self.seen.insert(*child) || !self.is_entered(child) {
            return Ok(());
        }
        self.read(map, child, level, None)
    }

    /// As [`Proof::child`], of a node for which there is room in memory.
    fn node(&mut self, map: &MapReader, id: NodeId, level: u8) -> Result<()> {
        let child = self.memory.child(id);
        if !self.memory.comes_by(id) || !self.is_entered(&child) {
            return Ok(());
        }
        match self.memory.below(id, level) {
            Some(Below::Leaf(runs)) => runs.iter().for_each(|run| self.data(run)),
            Some(Below::Inner(_, children)) => {
                for below in children.iter() {
                    self.node(map, *below, level - 1)?;
                }
            }
            None => self.read(map, &child, level, Some(id))?,
        }
        Ok(())
    }

    /// Whether what is below a node may be a candidate; the node itself may be one anyway.
    fn is_entered(&mut self, child: &Child) -> bool {
        let SlotRef { pack, slot, birth, .. } = child.slot;
        self.slots(PackKind::Meta, &Run { pack, first: slot, last: slot });
        birth >= self.oldest_birth
    }

    fn read(
        &mut self,
        map: &MapReader,
        child: &Child,
        level: u8,
        id: Option<NodeId>,
    ) -> Result<()> {
        if level == 0 {
            let leaf = map.leaf(child, &mut self.scratch);
            let Some(leaf) = readable(leaf)? else { return Ok(()) };
            let runs = runs_of(&leaf);
            runs.iter().for_each(|run| self.data(run));
            if let Some(id) = id {
                self.memory.put_leaf(id, runs);
            }
            return Ok(());
        }
        let inner = map.inner(child, level, &mut self.scratch);
        let Some(inner) = readable(inner)? else { return Ok(()) };
        let known = id.and_then(|id| self.memory.put_inner(id, level, children_of(&inner)));
        if let Some(known) = known {
            for below in known.iter() {
                self.node(map, *below, level - 1)?;
            }
            return Ok(());
        }
        for below in children_of(&inner) {
            self.child(map, below, level - 1)?;
        }
        Ok(())
    }

    fn data(&mut self, run: &Run) {
        self.slots(PackKind::Data, run);
    }

    /// A map points to these slots.
    fn slots(&mut self, kind: PackKind, run: &Run) {
        let name = (kind, run.pack);
        let is_candidate = match self.candidates.slots.get(&name) {
            None => false,
            Some(None) => true,
            Some(Some(slots)) => slots.range(run.first..=run.last).next().is_some(),
        };
        if is_candidate {
            self.needed.insert(name);
        }
    }
}

impl Drop for Proof<'_> {
    fn drop(&mut self) {
        let mut memory = std::mem::take(&mut self.memory);
        if let Some(kept) = &self.kept {
            kept.save(&mut memory);
        }
        self.known.keep(self.domain, memory);
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
