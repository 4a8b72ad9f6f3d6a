//! What is stored and what is reachable, from the objects, by other code than the engine's.

use std::collections::{BTreeMap, BTreeSet};

use cbr_store::ChainRef;
use cbr_store::backend::{Backend, BackendExt, MemoryBackend};
use cbr_store::crypto::{MasterKey, TenantKey, TenantKeys};
use cbr_store::format::frame::FrameDecoder;
use cbr_store::format::id::{DomainId, PackId, PackKind, PackRef, SlotRef};
use cbr_store::format::node::{Child, Content, Node};
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place::{self, Place};
use cbr_store::format::record::{Commit, Outcome, Record};
use cbr_store::format::slot::open_slot;

/// A slot: kind, pack, number, stored bytes.
pub(crate) type Slot = (PackKind, PackId, u32, u32);

/// The objects of one domain.
pub(crate) struct Objects<'a> {
    backend: &'a MemoryBackend,
    keys: TenantKeys,
    domain: DomainId,
}

impl<'a> Objects<'a> {
    /// `None` if the tenant has nothing yet.
    pub(crate) fn open(
        backend: &'a MemoryBackend,
        master: [u8; 32],
        domain: DomainId,
    ) -> Option<Self> {
        let key = place::tenant_key(domain.tenant, 1);
        let object = backend.get(&key).unwrap()?;
        let master = MasterKey::from_bytes(master).keys();
        let tenant = TenantKey::open(&object, &key, &master).unwrap();
        Some(Self { backend, keys: TenantKeys::derive(domain.tenant, 1, &tenant), domain })
    }

    /// The newest generation of each pack.
    fn packs(&self) -> BTreeMap<PackRef, u32> {
        self.generations().into_iter().collect()
    }

    /// All packs with all their generations, in order.
    fn generations(&self) -> Vec<(PackRef, u32)> {
        let listed = self.backend.list_all(&place::domain(&self.domain)).unwrap();
        let pack = |key| match Place::parse(key) {
            Some(Place::Pack(pack, generation)) => Some((pack, generation)),
            _ => None,
        };
        listed.iter().filter_map(|entry| pack(&entry.key)).collect()
    }

    pub(crate) fn assert_one_generation_each(&self) {
        let all = self.generations();
        assert_eq!(all.len(), self.packs().len(), "a pack has two generations: {all:?}");
    }

    pub(crate) fn stored(&self) -> BTreeSet<Slot> {
        let mut stored = BTreeSet::new();
        for (pack, generation) in self.packs() {
            let index = PackIndex::read(self.backend, &pack, generation, &self.keys).unwrap();
            for entry in index.unwrap().slots() {
                stored.insert((pack.kind, pack.id, entry.head.slot, entry.stored_bytes));
            }
        }
        stored
    }

    fn commit(&self, chain: &ChainRef, seq: u64) -> Commit {
        let key = place::outcome(chain, seq);
        let object = self.backend.get(&key).unwrap().unwrap();
        match Outcome::open(&object, &key, &self.keys).unwrap() {
            Outcome::Commit(commit) => *commit,
            Outcome::Abort(_) => panic!("version {seq} was aborted"),
        }
    }

    /// The slots of the maps of these versions, and of the lists of their lines.
    pub(crate) fn reachable(&self, live: &BTreeMap<ChainRef, BTreeSet<u64>>) -> BTreeSet<Slot> {
        let (packs, mut reached) = (self.packs(), BTreeSet::new());
        for (chain, seqs) in live {
            for seq in seqs {
                if let Some(root) = self.commit(chain, *seq).root.node {
                    self.follow(&root, &packs, &mut reached);
                }
            }
            let mut ancestor = seqs.last().copied();
            while let Some(seq) = ancestor {
                let commit = self.commit(chain, seq);
                reached.extend(commit.lists().map(|slot| named(PackKind::Meta, slot)));
                ancestor = commit.parent.map(|(parent, _)| parent);
            }
        }
        reached
    }

    fn follow(&self, child: &Child, packs: &BTreeMap<PackRef, u32>, reached: &mut BTreeSet<Slot>) {
        if !reached.insert(named(PackKind::Meta, &child.slot)) {
            return;
        }
        match self.node(child, packs) {
            Node::Leaf(leaf) => {
                for extent in leaf.extents {
                    if let Content::Data { slot, .. } = extent.content {
                        reached.insert(named(PackKind::Data, &slot));
                    }
                }
            }
            Node::Inner(inner) => {
                inner.children.iter().for_each(|(_, below)| self.follow(below, packs, reached));
            }
        }
    }

    fn node(&self, child: &Child, packs: &BTreeMap<PackRef, u32>) -> Node {
        let pack = PackRef { domain: self.domain, kind: PackKind::Meta, id: child.slot.pack };
        let index = PackIndex::read(self.backend, &pack, packs[&pack], &self.keys).unwrap();
        let index = index.unwrap();
        let entry = index.slot(child.slot.slot).unwrap();
        let object = self.backend.get(&index.key()).unwrap().unwrap();
        let start = usize::try_from(entry.offset).unwrap();
        let sealed = &object[start..start + entry.stored_bytes as usize];
        let (mut encoded, mut plain) = (Vec::new(), Vec::new());
        open_slot(index.dek(), &pack, entry.head, sealed, &mut encoded).unwrap();
        let length = entry.head.plain_len as usize;
        let mut decoder = FrameDecoder::new().unwrap();
        decoder.decode(entry.head.codec, &encoded, length, &mut plain).unwrap();
        Node::decode(&plain).unwrap()
    }
}

fn named(kind: PackKind, slot: &SlotRef) -> Slot {
    (kind, slot.pack, slot.slot, slot.stored_bytes)
}
