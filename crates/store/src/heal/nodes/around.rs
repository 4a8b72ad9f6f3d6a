//! What can be known about the place of a lost node: the same place in other versions, and what the
//! node's version wrote that nobody else points to.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::lost::LostNode;
use super::source::LeafIds;
use crate::chain::{History, read_list};
use crate::crypto::BlockId;
use crate::error::Result;
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::{Child, Content, Node, node_hash};
use crate::map::MapReader;
use crate::map::cells::{Cell, spread};
use crate::map::geometry::LEAF_BLOCKS;
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch, find};
use crate::size::to_usize;

/// The surroundings of one chain's nodes.
pub(super) struct Around<'a> {
    pub(super) history: &'a History,
    pub(super) packs: &'a Arc<Packs>,
    /// What was found taken for the last pair of birth and holder: lost nodes come in such rows.
    taken: Option<((u64, u64), Arc<Taken>)>,
}

/// Slots that something points to.
type Taken = HashSet<(PackKind, SlotRef)>;

/// What the nearest versions before and after have at a place; none if that cannot be known.
pub(super) struct Beside<T> {
    pub(super) before: Option<T>,
    pub(super) after: Option<T>,
}

/// A node that no map is known to point to.
pub(super) struct Stray {
    pub(super) child: Child,
    pub(super) node: Node,
}

impl<'a> Around<'a> {
    pub(super) const fn new(history: &'a History, packs: &'a Arc<Packs>) -> Self {
        Self { history, packs, taken: None }
    }

    fn map(&self, seq: u64) -> Option<MapReader> {
        let commit = &self.history.committed(seq)?.commit;
        Some(MapReader::new(Arc::clone(self.packs), commit.root, commit.disk_bytes))
    }

    /// The ancestors of a version, newest first.
    fn ancestors(&self, seq: u64) -> Vec<u64> {
        let parent = |seq: u64| self.history.sessions.get(&seq)?.claim.parent;
        std::iter::successors(parent(seq), |seq| parent(*seq)).collect()
    }

    /// The versions built on `seq`, oldest first.
    fn descendants(&self, seq: u64) -> Vec<u64> {
        let later = self.history.sessions.range(seq + 1..).map(|(later, _)| *later);
        let is_built_on = |later: &u64| {
            self.history.committed(*later).is_some() && self.ancestors(*later).contains(&seq)
        };
        later.filter(is_built_on).collect()
    }

    /// The cells of leaf `index` in `seq`; none if they cannot be known.
    fn cells(&self, seq: u64, index: u64, scratch: &mut Scratch) -> Result<Option<Vec<Cell>>> {
        let Some(map) = self.map(seq) else { return Ok(None) };
        let all = to_usize(LEAF_BLOCKS);
        let Some(child) = known(map.child(0, index, scratch))? else { return Ok(None) };
        let Some(child) = child else { return Ok(Some(vec![Cell::Hole; all])) };
        Ok(known(map.leaf(&child, scratch))?.map(|leaf| spread(&leaf, all)))
    }

    /// The nearest cells before and after, of versions in which the leaf is another one.
    pub(super) fn cells_around(
        &self,
        lost: &LostNode,
        scratch: &mut Scratch,
    ) -> Result<Beside<Vec<Cell>>> {
        let birth = lost.child.slot.birth;
        let first = |versions: Vec<u64>, scratch: &mut Scratch| -> Result<Option<Vec<Cell>>> {
            for seq in versions {
                if let Some(cells) = self.cells(seq, lost.index, scratch)? {
                    return Ok(Some(cells));
                }
            }
            Ok(None)
        };
        let before = first(self.ancestors(birth), scratch)?;
        Ok(Beside { before, after: first(self.descendants(birth), scratch)? })
    }

    /// The same for an inner node: its children.
    pub(super) fn children_around(
        &self,
        lost: &LostNode,
        scratch: &mut Scratch,
    ) -> Result<Beside<Vec<(u8, Child)>>> {
        let birth = lost.child.slot.birth;
        let first = |versions: Vec<u64>, scratch: &mut Scratch| -> Result<Option<_>> {
            for map in versions.into_iter().filter_map(|seq| self.map(seq)) {
                if let Some(children) = known(map.children(lost.level, lost.index, scratch))? {
                    return Ok(Some(children));
                }
            }
            Ok(None)
        };
        let before = first(self.ancestors(birth), scratch)?;
        Ok(Beside { before, after: first(self.descendants(birth), scratch)? })
    }

    /// The node behind a pointer, if it can be read.
    pub(super) fn node(&self, child: &Child, scratch: &mut Scratch) -> Result<Option<Node>> {
        let read = known(self.packs.read_slot(PackKind::Meta, &child.slot, scratch))?;
        let is_it = read.is_some() && node_hash(&scratch.plain) == child.hash;
        Ok(if is_it { Node::decode(&scratch.plain).ok() } else { None })
    }

    /// The slots of `birth` that something else than the lost node is known to point to, or that
    /// had died before the version that holds it.
    fn taken(&mut self, lost: &LostNode, scratch: &mut Scratch) -> Result<Arc<Taken>> {
        let row = (lost.child.slot.birth, lost.holder);
        if let Some((known, taken)) = &self.taken
            && *known == row
        {
            return Ok(Arc::clone(taken));
        }
        let taken = Arc::new(self.look_for_taken(lost, scratch)?);
        self.taken = Some((row, Arc::clone(&taken)));
        Ok(taken)
    }

    fn look_for_taken(&self, lost: &LostNode, scratch: &mut Scratch) -> Result<Taken> {
        let birth = lost.child.slot.birth;
        let mut taken = HashSet::new();
        let mut take = |kind: PackKind, slot: &SlotRef| {
            if slot.birth == birth {
                taken.insert((kind, *slot));
            }
        };
        if let Some(map) = self.map(lost.holder) {
            if let Some(root) = map.root().node {
                take(PackKind::Meta, &root.slot);
            }
            map.walk(&(0..u64::MAX), scratch, &mut |visit| {
                match visit {
                    Visit::Leaf { child, leaf, .. } => {
                        take(PackKind::Meta, &child.slot);
                        for extent in &leaf.extents {
                            if let Content::Data { slot, .. } = extent.content {
                                take(PackKind::Data, &slot);
                            }
                        }
                    }
                    Visit::Inner { child, .. } => take(PackKind::Meta, &child.slot),
                    Visit::Unreadable { child, error, .. } if error.is_damage() => {
                        take(PackKind::Meta, &child.slot);
                    }
                    Visit::Unreadable { error, .. } => return Err(error),
                }
                Ok(())
            })?;
        }
        let line: BTreeSet<u64> =
            self.ancestors(lost.holder).into_iter().chain([lost.holder]).collect();
        for seq in line.range(birth..) {
            let Some(committed) = self.history.committed(*seq) else { continue };
            for list in committed.commit.lists() {
                take(PackKind::Meta, list);
                let chain = &self.history.chain;
                let read = known(read_list(self.packs, (chain, *seq), list, scratch))?;
                for (kind, slot, _) in read.iter().flat_map(|list| list.iter()) {
                    take(*kind, slot);
                }
            }
        }
        Ok(taken)
    }

    /// The slots that the lost node's version wrote and nobody else points to, in the order in which
    /// they were written.
    fn strays(
        &mut self,
        lost: &LostNode,
        kind: PackKind,
        scratch: &mut Scratch,
    ) -> Result<Vec<(SlotRef, u16)>> {
        let birth = lost.child.slot.birth;
        let taken = self.taken(lost, scratch)?;
        let Some(committed) = self.history.committed(birth) else { return Ok(Vec::new()) };
        let mut packs: Vec<_> =
            committed.commit.packs.iter().filter(|pack| pack.kind == kind).collect();
        packs.sort_unstable_by_key(|pack| pack.id);
        let mut strays = Vec::new();
        for pack in packs {
            let Some(index) = known(self.packs.index(kind, pack.id))? else { continue };
            for entry in index.slots() {
                let (slot, stored_bytes) = (entry.head.slot, entry.stored_bytes);
                let slot = SlotRef { pack: pack.id, slot, birth, stored_bytes };
                if !taken.contains(&(kind, slot)) {
                    strays.push((slot, entry.blocks));
                }
            }
        }
        Ok(strays)
    }

    /// The blocks that the lost leaf's version wrote and no other leaf points to.
    pub(super) fn stray_cells(
        &mut self,
        lost: &LostNode,
        scratch: &mut Scratch,
    ) -> Result<Vec<Cell>> {
        let cells = |(slot, blocks): (SlotRef, u16)| {
            let blocks = u8::try_from(blocks).unwrap_or(u8::MAX);
            (0..blocks).map(move |index| Cell::Data { slot, index })
        };
        Ok(self.strays(lost, PackKind::Data, scratch)?.into_iter().flat_map(cells).collect())
    }

    /// Of the blocks that the lost leaf's version borrowed, where blocks are shared, those that have one of these ids.
    pub(super) fn borrowed_cells(
        &self,
        lost: &LostNode,
        wanted: &LeafIds,
        scratch: &mut Scratch,
    ) -> Result<HashMap<BlockId, Vec<Cell>>> {
        let (mut cells, birth) = (HashMap::<BlockId, Vec<Cell>>::new(), lost.child.slot.birth);
        let committed = self.history.committed(birth);
        let borrowed = committed.and_then(|committed| committed.commit.borrowed.as_ref());
        let wanted: HashSet<&BlockId> = wanted.values().collect();
        for list in borrowed.iter().flat_map(|borrowed| &borrowed.lists) {
            let read = read_list(self.packs, (&self.history.chain, birth), list, scratch);
            for (kind, slot, _) in known(read)?.iter().flat_map(|list| list.iter()) {
                let Some(index) = known(self.packs.index(*kind, slot.pack))? else { continue };
                let Ok(entry) = find(&index, slot) else { continue };
                for (index, id) in (0_u8..).zip(index.ids(entry)) {
                    if wanted.contains(id) {
                        cells.entry(*id).or_default().push(Cell::Data { slot: *slot, index });
                    }
                }
            }
        }
        Ok(cells)
    }

    /// The nodes one level below the lost one that its version wrote and no other node points to.
    pub(super) fn stray_nodes(
        &mut self,
        lost: &LostNode,
        scratch: &mut Scratch,
    ) -> Result<Vec<Stray>> {
        let mut strays = Vec::new();
        for (slot, _) in self.strays(lost, PackKind::Meta, scratch)? {
            if known(self.packs.read_slot(PackKind::Meta, &slot, scratch))?.is_none() {
                continue;
            }
            let Ok(node) = Node::decode(&scratch.plain) else { continue };
            let level = match &node {
                Node::Leaf(_) => 0,
                Node::Inner(inner) => inner.level,
            };
            if level + 1 == lost.level {
                let child = Child { slot, hash: node_hash(&scratch.plain) };
                strays.push(Stray { child, node });
            }
        }
        Ok(strays)
    }
}

/// The slots a node names.
pub(super) fn named(node: &Node) -> BTreeSet<SlotRef> {
    match node {
        Node::Inner(inner) => inner.children.iter().map(|(_, child)| child.slot).collect(),
        Node::Leaf(leaf) => {
            let slot = |content: &Content| match content {
                Content::Data { slot, .. } => Some(*slot),
                Content::Bad => None,
            };
            leaf.extents.iter().filter_map(|extent| slot(&extent.content)).collect()
        }
    }
}

/// What was read, or nothing where there is damage.
pub(super) fn known<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
