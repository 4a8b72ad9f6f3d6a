//! What a process has read of maps, so that the second proof reads no node twice.
//!
//! A node never changes, and its pointer carries its hash: what was read of it once and had that hash stays
//! true, whatever becomes of the object it was read from. Kept is what the proof asks about: of an inner node
//! its children, of a leaf which slots it points to. So a question about any slot of any pack can be answered,
//! not only whether the pack is used at all. Nothing of the bookkeeping is in here, and nothing that a proof
//! did not read and authenticate itself.
//!
//! It has a hard limit. What is not remembered is read again, nothing else follows from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::kept::KeptFile;
use crate::format::id::{DomainId, PackId, SlotRef};
use crate::format::node::{Child, Content, Inner, Leaf};

/// What all that is remembered may take, in bytes: about 7 000 versions that change 16 leaves each.
const BYTES_MAX: usize = 64 << 20;
/// What a node takes at most besides what is below it: tables double when they are full.
const NODE_BYTES: usize =
    2 * (size_of::<Node>() + size_of::<(Child, NodeId)>() + size_of::<NodeId>());
/// The two counters of a shared slice.
const SHARED_BYTES: usize = 2 * size_of::<usize>();

/// What is remembered, by domain.
#[derive(Debug)]
pub(crate) struct KnownMaps {
    bytes_max: usize,
    /// Who was used last is last.
    domains: Mutex<Vec<(DomainId, MapMemory)>>,
}

/// What is remembered of the maps of one domain.
#[derive(Debug, Default)]
pub(super) struct MapMemory {
    bytes_max: usize,
    places: HashMap<Child, NodeId>,
    nodes: Vec<Node>,
    bytes: usize,
    /// What was read since something was kept for other processes.
    fresh: Vec<NodeId>,
    /// What is there for them (`kept/`).
    pub(super) file: Option<KeptFile>,
    /// Whether there was no room for something.
    is_full: bool,
    /// The walk that is under way, and the first one of this proof.
    walk: u64,
    first_walk: u64,
}

/// A node that is remembered, or that one that is points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NodeId(u32);

#[derive(Debug)]
struct Node {
    child: Child,
    /// The last walk that came by.
    walked: u64,
    /// `None`: it was not read yet.
    below: Option<Below>,
}

/// What a node says.
#[derive(Clone, Debug)]
pub(super) enum Below {
    /// Which slots of data packs a leaf points to.
    Leaf(Arc<[Run]>),
    /// The children of an inner node of this level.
    Inner(u8, Arc<[NodeId]>),
}

/// Slots with consecutive numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) pack: PackId,
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Default for KnownMaps {
    fn default() -> Self {
        Self::with_room(BYTES_MAX)
    }
}

impl KnownMaps {
    pub(crate) fn with_room(bytes_max: usize) -> Self {
        Self { bytes_max, domains: Mutex::default() }
    }

    /// Takes what is known of a domain. Who comes before it is kept again begins with nothing: nobody waits
    /// while another one reads.
    pub(super) fn take(&self, domain: &DomainId) -> MapMemory {
        let mut domains = self.lock();
        let at = domains.iter().position(|(known, _)| known == domain);
        let mut memory = match at {
            Some(at) => domains.remove(at).1,
            None => MapMemory::with_room(self.bytes_max),
        };
        memory.first_walk = memory.walk + 1;
        memory
    }

    /// Keeps what is known of a domain, instead of what has not been used for longest.
    pub(super) fn keep(&self, domain: DomainId, mut memory: MapMemory) {
        memory.fresh.clear();
        let mut memory = if memory.is_full { memory.walked_only() } else { memory };
        let mut domains = self.lock();
        if let Some(at) = domains.iter().position(|(known, _)| *known == domain) {
            let other = domains.remove(at).1;
            if other.bytes > memory.bytes {
                memory = other;
            }
        }
        domains.push((domain, memory));
        let mut bytes: usize = domains.iter().map(|(_, memory)| memory.bytes).sum();
        while bytes > self.bytes_max && domains.len() > 1 {
            bytes -= domains.remove(0).1.bytes;
        }
    }

    /// Forgets what is known of a tenant.
    pub(crate) fn forget_tenant(&self, tenant: Uuid) {
        self.lock().retain(|(domain, _)| domain.tenant != tenant);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(DomainId, MapMemory)>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().iter().map(|(_, memory)| memory.bytes).sum()
    }
}

impl MapMemory {
    pub(super) fn with_room(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Begins a walk: nodes that another one came by are new again.
    pub(super) fn begin_walk(&mut self) {
        self.walk += 1;
    }

    /// The node behind a pointer; `None` if there is no room for it.
    pub(super) fn place(&mut self, child: &Child) -> Option<NodeId> {
        match self.places.get(child) {
            Some(id) => Some(*id),
            None => self.has_room(NODE_BYTES).then(|| self.add(child)),
        }
    }

    fn add(&mut self, child: &Child) -> NodeId {
        if let Some(id) = self.places.get(child) {
            return *id;
        }
        let id = u32::try_from(self.nodes.len()).expect("so many nodes are above the limit");
        self.nodes.push(Node { child: *child, walked: 0, below: None });
        self.places.insert(*child, NodeId(id));
        self.bytes += NODE_BYTES;
        NodeId(id)
    }

    /// Whether this walk comes by for the first time.
    pub(super) fn comes_by(&mut self, id: NodeId) -> bool {
        let walk = self.walk;
        let node = &mut self.nodes[id.0 as usize];
        std::mem::replace(&mut node.walked, walk) != walk
    }

    pub(super) fn child(&self, id: NodeId) -> Child {
        self.nodes[id.0 as usize].child
    }

    /// What is known to be below a node, if it is one of this level.
    pub(super) fn below(&self, id: NodeId, level: u8) -> Option<Below> {
        let below = self.nodes[id.0 as usize].below.as_ref()?;
        let known = match below {
            Below::Leaf(_) => 0,
            Below::Inner(level, _) => *level,
        };
        (known == level).then(|| below.clone())
    }

    /// Remembers what was read of a leaf, if there is room.
    pub(super) fn put_leaf(&mut self, id: NodeId, runs: Arc<[Run]>) {
        if self.has_room(SHARED_BYTES + size_of_val(&*runs)) {
            self.put(id, Below::Leaf(runs));
        }
    }

    /// Remembers what was read of an inner node; its children, or `None` if there is no room.
    pub(super) fn put_inner<'c>(
        &mut self,
        id: NodeId,
        level: u8,
        children: impl ExactSizeIterator<Item = &'c Child>,
    ) -> Option<Arc<[NodeId]>> {
        let each = NODE_BYTES + size_of::<NodeId>();
        if !self.has_room(SHARED_BYTES + children.len() * each) {
            return None;
        }
        let children: Arc<[NodeId]> = children.map(|child| self.add(child)).collect();
        self.put(id, Below::Inner(level, Arc::clone(&children)));
        Some(children)
    }

    fn put(&mut self, id: NodeId, below: Below) {
        self.fresh.push(id);
        self.bytes += below.bytes();
        let node = &mut self.nodes[id.0 as usize];
        self.bytes -= node.below.replace(below).map_or(0, |before| before.bytes());
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let has_room = self.bytes + bytes <= self.bytes_max;
        self.is_full |= !has_room;
        has_room
    }

    /// Without what this proof did not come by: nodes of versions that are gone, or older than what was asked
    /// about.
    fn walked_only(self) -> Self {
        let mut kept = Self { walk: self.walk, ..Self::with_room(self.bytes_max) };
        kept.file = self.file;
        for node in self.nodes.iter().filter(|node| node.walked >= self.first_walk) {
            let Some(below) = &node.below else { continue };
            let Some(id) = kept.place(&node.child) else { break };
            match below {
                Below::Leaf(runs) => kept.put_leaf(id, Arc::clone(runs)),
                Below::Inner(level, children) => {
                    let children = children.iter().map(|id| &self.nodes[id.0 as usize].child);
                    kept.put_inner(id, *level, children);
                }
            }
        }
        kept.is_full = false;
        kept.fresh.clear();
        kept
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What was read since this was asked last.
    pub(super) fn take_fresh(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.fresh)
    }

    /// All nodes of which is known what is below.
    pub(super) fn known(&self) -> impl Iterator<Item = NodeId> + '_ {
        let ids = (0..).map(NodeId).zip(&self.nodes);
        ids.filter(|(_, node)| node.below.is_some()).map(|(id, _)| id)
    }

    /// What is known to be below a node, whatever its level.
    pub(super) fn said(&self, id: NodeId) -> Option<&Below> {
        self.nodes[id.0 as usize].below.as_ref()
    }
}

impl Below {
    fn bytes(&self) -> usize {
        SHARED_BYTES
            + match self {
                Self::Leaf(runs) => size_of_val(&**runs),
                Self::Inner(_, children) => size_of_val(&**children),
            }
    }
}

/// The slots that a leaf points to.
pub(super) fn runs_of(leaf: &Leaf) -> Arc<[Run]> {
    let mut slots: Vec<SlotRef> = Vec::with_capacity(leaf.extents.len());
    slots.extend(leaf.extents.iter().filter_map(|extent| match extent.content {
        Content::Data { slot, .. } => Some(slot),
        Content::Bad => None,
    }));
    slots.sort_unstable_by_key(|slot| (slot.pack, slot.slot));
    let mut runs: Vec<Run> = Vec::new();
    for SlotRef { pack, slot, .. } in slots {
        match runs.last_mut() {
            Some(run) if run.pack == pack && slot <= run.last.saturating_add(1) => run.last = slot,
            _ => runs.push(Run { pack, first: slot, last: slot }),
        }
    }
    runs.into()
}

/// The children of an inner node, without their positions.
pub(super) fn children_of(inner: &Inner) -> impl ExactSizeIterator<Item = &Child> {
    inner.children.iter().map(|(_, child)| child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::{ChainRef, SessionNonce};
    use crate::format::node::Extent;

    fn domain(n: u128) -> DomainId {
        ChainRef::alone(Uuid::from_u128(n), 0, Uuid::nil()).domain()
    }

    fn slot(pack: u32, slot: u32) -> SlotRef {
        let pack = PackId::new(SessionNonce([1; 12]), pack);
        SlotRef { pack, slot, birth: 1, stored_bytes: 100 }
    }

    fn child(n: u32) -> Child {
        Child { slot: slot(0, n), hash: [7; 16] }
    }

    fn walk_leaf(memory: &mut MapMemory, n: u32) {
        let runs: Arc<[Run]> = Arc::new([Run { pack: slot(0, 0).pack, first: n, last: n }]);
        if let Some(id) = memory.place(&child(n)) {
            memory.comes_by(id);
            memory.put_leaf(id, runs);
        }
    }

    fn knows(memory: &mut MapMemory, n: u32) -> bool {
        memory.places.get(&child(n)).is_some_and(|id| memory.below(*id, 0).is_some())
    }

    #[test]
    fn the_slots_of_a_leaf_become_runs_and_none_comes_or_goes() {
        let numbers = [(2, 7), (1, 4), (1, 5), (1, 5), (1, 6), (1, 8), (2, u32::MAX), (1, 3)];
        let data = |(pack, number)| Content::Data { slot: slot(pack, number), first: 0 };
        let contents = numbers.into_iter().map(data).chain([Content::Bad]);
        let extents = (0..).zip(contents).map(|(start, content)| Extent { start, run: 1, content });
        let runs = runs_of(&Leaf { extents: extents.collect() });
        let plain: Vec<_> = runs.iter().map(|run| (run.pack, run.first, run.last)).collect();
        let (one, two) = (slot(1, 0).pack, slot(2, 0).pack);
        assert_eq!(plain, [(one, 3, 6), (one, 8, 8), (two, 7, 7), (two, u32::MAX, u32::MAX)]);
    }

    #[test]
    fn a_node_is_known_at_its_own_level_only() {
        let mut memory = MapMemory::with_room(1 << 20);
        let id = memory.place(&child(1)).unwrap();
        assert!(memory.below(id, 0).is_none() && memory.below(id, 1).is_none());
        let below = memory.put_inner(id, 1, [child(2), child(3)].iter()).unwrap();
        assert!(below.iter().map(|id| memory.child(*id)).eq([child(2), child(3)]));
        assert!(memory.below(id, 0).is_none() && memory.below(id, 2).is_none());
        assert!(matches!(memory.below(id, 1), Some(Below::Inner(1, known)) if known == below));
    }

    #[test]
    fn each_walk_comes_by_once() {
        let mut memory = MapMemory::with_room(1 << 20);
        let id = memory.place(&child(1)).unwrap();
        for _ in 0..2 {
            memory.begin_walk();
            assert!(memory.comes_by(id));
            assert!(!memory.comes_by(id));
        }
    }

    #[test]
    fn what_is_remembered_stays_below_the_limit_and_what_was_used_last_stays() {
        let known = KnownMaps::with_room(20 * (NODE_BYTES + 100));
        let proof = |leaves: std::ops::Range<u32>| {
            let mut memory = known.take(&domain(1));
            memory.begin_walk();
            leaves.for_each(|n| walk_leaf(&mut memory, n));
            known.keep(domain(1), memory);
            assert!(known.bytes() <= known.bytes_max);
        };
        proof(0..15);
        // There is no room for all of these; the next time there is.
        proof(10..25);
        proof(10..25);
        let mut memory = known.take(&domain(1));
        assert!((10..25).all(|n| knows(&mut memory, n)));
        assert!((0..10).all(|n| !knows(&mut memory, n)));
        // More than there is ever room for.
        known.keep(domain(1), memory);
        proof(100..200);
        proof(100..200);
        let mut memory = known.take(&domain(1));
        assert!((100..115).all(|n| knows(&mut memory, n)));
    }

    #[test]
    fn a_domain_that_was_not_used_for_longest_is_forgotten_first() {
        let known = KnownMaps::with_room(20 * (NODE_BYTES + 100));
        let proof = |n: u128| {
            let mut memory = known.take(&domain(n));
            memory.begin_walk();
            (0..8).for_each(|n| walk_leaf(&mut memory, n));
            known.keep(domain(n), memory);
        };
        [1, 2, 1, 3].into_iter().for_each(proof);
        let kept = [1, 2, 3].map(|n| known.take(&domain(n)).bytes > 0);
        assert_eq!(kept, [true, false, true]);
        // Two proofs at once: the larger memory stays.
        let (mut large, small) = (known.take(&domain(1)), known.take(&domain(1)));
        walk_leaf(&mut large, 1);
        known.keep(domain(1), large);
        known.keep(domain(1), small);
        assert!(known.take(&domain(1)).bytes > 0);
    }
}
