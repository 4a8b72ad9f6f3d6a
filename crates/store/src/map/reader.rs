//! Reading the map of a committed version.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::geometry::{FANOUT, leaves_below};
use crate::error::{Error, Result};
use crate::format::id::PackKind;
use crate::format::node::{Child, Inner, Leaf, Node, node_hash};
use crate::format::record::Root;
use crate::packs::{Packs, Scratch};

/// How many inner nodes are kept. One covers 4 GiB or more.
const CACHED_MAX: usize = 256;

/// The map of one version.
#[derive(Debug)]
pub(crate) struct MapReader {
    packs: Arc<Packs>,
    root: Root,
    disk_bytes: u64,
    inners: Mutex<HashMap<[u8; 16], Arc<Inner>>>,
}

impl MapReader {
    pub(crate) fn new(packs: Arc<Packs>, root: Root, disk_bytes: u64) -> Self {
        Self { packs, root, disk_bytes, inners: Mutex::default() }
    }

    pub(crate) fn root(&self) -> Root {
        self.root
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    /// The pointer to node `index` of `level`, or `None` if all it covers is zero.
    ///
    /// Above the root there are no nodes to point to; ask [`MapReader::children`] there.
    pub(crate) fn child(
        &self,
        level: u8,
        index: u64,
        scratch: &mut Scratch,
    ) -> Result<Option<Child>> {
        if level > self.root.height {
            return Ok(None);
        }
        let mut at = self.root.height;
        let mut pointer = self.root.node;
        // Beyond what the root covers.
        if index >= leaves_below(at) / leaves_below(level) {
            return Ok(None);
        }
        while at > level {
            let Some(child) = pointer else { return Ok(None) };
            let inner = self.inner(&child, at, scratch)?;
            at -= 1;
            let position = (index / (leaves_below(at) / leaves_below(level))) % FANOUT;
            pointer = find(&inner, position);
        }
        Ok(pointer)
    }

    /// The children of node `index` of `level` (1 or above), by position; also of the nodes above
    /// the root that a larger disk would have.
    pub(crate) fn children(
        &self,
        level: u8,
        index: u64,
        scratch: &mut Scratch,
    ) -> Result<Vec<(u8, Child)>> {
        if level > self.root.height {
            let is_above_root = index == 0 && level == self.root.height + 1;
            let root = self.root.node.filter(|_| is_above_root);
            return Ok(root.map(|root| (0, root)).into_iter().collect());
        }
        match self.child(level, index, scratch)? {
            None => Ok(Vec::new()),
            Some(child) => Ok(self.inner(&child, level, scratch)?.children.clone()),
        }
    }

    /// The first leaf at or behind `from` that is not all zero, without reading it: a few nodes
    /// are looked at, whatever the disk's size.
    pub(crate) fn next_leaf(&self, from: u64, scratch: &mut Scratch) -> Option<NextLeaf> {
        let root = self.root.node?;
        self.next_below(&root, self.root.height, 0, from, scratch)
    }

    fn next_below(
        &self,
        child: &Child,
        level: u8,
        first: u64,
        from: u64,
        scratch: &mut Scratch,
    ) -> Option<NextLeaf> {
        let covered = first..first.saturating_add(leaves_below(level));
        if covered.end <= from {
            return None;
        }
        if level == 0 {
            return Some(NextLeaf::Stored { index: first, child: *child });
        }
        let Ok(inner) = self.inner(child, level, scratch) else {
            return Some(NextLeaf::Unreadable(covered.start.max(from)..covered.end));
        };
        inner.children.iter().find_map(|(position, below)| {
            let start = first + u64::from(*position) * leaves_below(level - 1);
            self.next_below(below, level - 1, start, from, scratch)
        })
    }

    /// The leaf behind `child`.
    pub(crate) fn leaf(&self, child: &Child, scratch: &mut Scratch) -> Result<Leaf> {
        match self.node(child, scratch)? {
            Node::Leaf(leaf) => Ok(leaf),
            Node::Inner(_) => Err(self.wrong(child, "an inner node where a leaf must be")),
        }
    }

    /// The inner node of `level` behind `child`.
    pub(crate) fn inner(
        &self,
        child: &Child,
        level: u8,
        scratch: &mut Scratch,
    ) -> Result<Arc<Inner>> {
        if let Some(inner) = self.lock().get(&child.hash) {
            return Ok(Arc::clone(inner));
        }
        let inner = match self.node(child, scratch)? {
            Node::Inner(inner) if inner.level == level => Arc::new(inner),
            _ => return Err(self.wrong(child, "a node of another level than its place")),
        };
        let mut cached = self.lock();
        if cached.len() >= CACHED_MAX {
            cached.clear();
        }
        cached.insert(child.hash, Arc::clone(&inner));
        Ok(inner)
    }

    /// Whether no node on the way to `leaves`, and none of them, is damaged.
    pub(crate) fn is_readable(&self, leaves: &Range<u64>, scratch: &mut Scratch) -> Result<bool> {
        let mut is_readable = true;
        self.walk(leaves, scratch, &mut |visit| match visit {
            Visit::Unreadable { error, .. } if !error.is_damage() => Err(error),
            Visit::Unreadable { .. } => {
                is_readable = false;
                Ok(())
            }
            Visit::Leaf { .. } | Visit::Inner { .. } => Ok(()),
        })?;
        Ok(is_readable)
    }

    fn node(&self, child: &Child, scratch: &mut Scratch) -> Result<Node> {
        self.packs.read_slot(PackKind::Meta, &child.slot, scratch)?;
        if node_hash(&scratch.plain) != child.hash {
            return Err(self.wrong(child, "the map node is not the one its parent names"));
        }
        Node::decode(&scratch.plain).map_err(|e| self.wrong(child, e.0))
    }

    fn wrong(&self, child: &Child, what: &str) -> Error {
        let pack = self.packs.pack(PackKind::Meta, child.slot.pack);
        let object = format!("{}*", crate::format::place::pack_generations(&pack));
        Error::damaged(object, format!("slot {}: {what}", child.slot.slot))
    }

    /// Calls `visit` for every node that has a leaf in `leaves`, in order, inner nodes after those
    /// below them. Where a node cannot be read, `visit` gets the error and the leaves it covers;
    /// what is below it is not visited.
    pub(crate) fn walk(
        &self,
        leaves: &Range<u64>,
        scratch: &mut Scratch,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        self.walk_unseen(leaves, scratch, None, visit)
    }

    /// As [`MapReader::walk`], but without the subtrees whose pointer is in `seen`, and adding to it.
    ///
    /// Not their hash: a map that becomes again what it was has an equal node in another slot, and
    /// each of the two slots can be lost.
    pub(crate) fn walk_unseen(
        &self,
        leaves: &Range<u64>,
        scratch: &mut Scratch,
        seen: Option<&mut HashSet<Child>>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(root) = self.root.node else { return Ok(()) };
        let mut walk = Walk { map: self, leaves, scratch, seen, visit };
        walk.node(&root, self.root.height, 0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 16], Arc<Inner>>> {
        self.inners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes next in a map, looking for leaves.
#[derive(Debug)]
pub(crate) enum NextLeaf {
    /// A leaf with something in it.
    Stored {
        /// Which leaf of the disk it is.
        index: u64,
        /// The pointer to it.
        child: Child,
    },
    /// These leaves are below a node that cannot be read.
    Unreadable(Range<u64>),
}

/// A walk under way.
struct Walk<'a> {
    map: &'a MapReader,
    leaves: &'a Range<u64>,
    scratch: &'a mut Scratch,
    seen: Option<&'a mut HashSet<Child>>,
    visit: &'a mut dyn FnMut(Visit<'_>) -> Result<()>,
}

impl Walk<'_> {
    fn node(&mut self, child: &Child, level: u8, first: u64) -> Result<()> {
        let leaves = first..first.saturating_add(leaves_below(level));
        if leaves.end <= self.leaves.start || leaves.start >= self.leaves.end {
            return Ok(());
        }
        if self.seen.as_mut().is_some_and(|seen| !seen.insert(*child)) {
            return Ok(());
        }
        if level == 0 {
            return match self.map.leaf(child, self.scratch) {
                Ok(leaf) => (self.visit)(Visit::Leaf { child, index: first, leaf: &leaf }),
                Err(error) => (self.visit)(Visit::Unreadable { child, leaves, error }),
            };
        }
        let inner = match self.map.inner(child, level, self.scratch) {
            Ok(inner) => inner,
            Err(error) => return (self.visit)(Visit::Unreadable { child, leaves, error }),
        };
        for (position, below) in &inner.children {
            let start = first + u64::from(*position) * leaves_below(level - 1);
            self.node(below, level - 1, start)?;
        }
        (self.visit)(Visit::Inner { child, level, first })
    }
}

/// What a walk comes by.
#[derive(Debug)]
pub(crate) enum Visit<'a> {
    /// A leaf.
    Leaf {
        /// The pointer to it.
        child: &'a Child,
        /// Which leaf of the disk it is.
        index: u64,
        /// Its content.
        leaf: &'a Leaf,
    },
    /// A node above leaves.
    Inner {
        /// The pointer to it.
        child: &'a Child,
        /// Its level.
        level: u8,
        /// The first leaf it covers.
        first: u64,
    },
    /// A node that cannot be read, and the leaves that are lost with it.
    Unreadable {
        /// The pointer to it.
        child: &'a Child,
        /// The leaves.
        leaves: Range<u64>,
        /// Why.
        error: Error,
    },
}

fn find(inner: &Inner, position: u64) -> Option<Child> {
    let position = u8::try_from(position).ok()?;
    let at = inner.children.binary_search_by_key(&position, |(at, _)| *at).ok()?;
    inner.children.get(at).map(|(_, child)| *child)
}
