//! What lies in which pack, read once when it is put. What was damaged afterwards is remembered as
//! it was.

use std::collections::{BTreeMap, BTreeSet};

use cbr_store::backend::Key;
use cbr_store::crypto::{BlockId, TenantKeys};
use cbr_store::format::frame::FrameDecoder;
use cbr_store::format::id::{ChainRef, PackKind, PackRef};
use cbr_store::format::node::{Child, Content, Node};
use cbr_store::format::pack::{PackIndex, Patch};
use cbr_store::format::place::{self, Place};
use cbr_store::format::slot::open_slot;

use super::{Objects, Slot, named};

/// What a pack's object says.
#[derive(Debug, Default)]
struct Table {
    /// By number: stored bytes and the ids of its blocks.
    slots: BTreeMap<u32, (u32, Vec<BlockId>)>,
    key_id: u32,
}

/// All packs that are stored.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    tables: BTreeMap<PackRef, BTreeMap<u32, Table>>,
    /// The blocks of slots, by pack; a pack that is gone may have patches still.
    blocks: BTreeMap<(PackRef, u32), Vec<BlockId>>,
    nodes: BTreeMap<(PackRef, u32), Node>,
    /// Who wrote which patch, and which blocks of which slots it has, as bits.
    healers: BTreeMap<Key, (String, BTreeMap<u32, u16>)>,
    /// Who wrote which generation of a pack, as markers tell; kept when they are gone, because the
    /// removal of what they name may come late.
    markers: BTreeMap<(PackRef, u32), BTreeSet<String>>,
    /// Objects that were damaged, as they were.
    pristine: Objects,
}

impl Packs {
    /// A pack was put: what is wrong with it.
    pub(super) fn saw_put(
        &mut self,
        object: &[u8],
        (key, pack, generation): (&Key, PackRef, u32),
        keys: Option<&TenantKeys>,
    ) -> Option<String> {
        let opened = keys.map(|keys| PackIndex::open(object, &pack, generation, keys));
        let Some(Ok(index)) = opened else {
            return Some(format!("{key} cannot be read with the keys that are there"));
        };
        self.pristine.remove(key);
        let mut table = Table { key_id: key_id(object), ..Table::default() };
        for entry in index.slots() {
            let ids = index.ids(entry).to_vec();
            self.blocks.insert((pack, entry.head.slot), ids.clone());
            table.slots.insert(entry.head.slot, (entry.stored_bytes, ids));
        }
        self.tables.entry(pack).or_default().insert(generation, table);
        None
    }

    /// A patch was put: it must have what the pack had (P5).
    pub(super) fn saw_patch(
        &mut self,
        object: &[u8],
        (key, pack, number): (&Key, PackRef, u32),
        keys: Option<&TenantKeys>,
    ) -> Option<String> {
        let opened = keys.map(|keys| Patch::open(object, &pack, number, keys));
        let Some(Ok(patch)) = opened else {
            return Some(format!("{key} cannot be read with the keys that are there"));
        };
        let present = |slot: u32| Some((slot, patch.slot(slot)?.1.blocks));
        let slots = patch.index().slots().iter();
        let slots = slots.filter_map(|entry| present(entry.head.slot)).collect();
        let (generation, by) = marked(patch.by());
        if let Some(generation) = generation {
            self.markers.entry((pack, generation)).or_default().insert(by.to_owned());
        }
        self.healers.insert(key.clone(), (by.to_owned(), slots));
        for entry in patch.index().slots() {
            let slot = entry.head.slot;
            let Some((_, present)) = patch.slot(slot) else { continue };
            let Some(had) = self.blocks.get(&(pack, slot)) else {
                return Some(format!("{key} heals slot {slot}, which its pack never had"));
            };
            let places = (0..16).filter(|at| present.blocks >> at & 1 == 1);
            for (at, id) in places.zip(patch.index().ids(entry)) {
                if had.get(at) != Some(id) {
                    return Some(format!("{key} has something else for block {at} of {slot}"));
                }
            }
        }
        None
    }

    /// Who wrote a patch or, as a marker tells, a generation of a pack.
    pub(super) fn menders(&self, key: &Key) -> BTreeSet<String> {
        match parsed(key) {
            Some((pack, generation, false)) => {
                self.markers.get(&(pack, generation)).cloned().unwrap_or_default()
            }
            _ => self.healers.get(key).map(|(by, _)| by.clone()).into_iter().collect(),
        }
    }

    /// Whether a patch has something of the slot.
    pub(super) fn heals(&self, patch: &Key, slot: u32) -> bool {
        self.healers.get(patch).is_some_and(|(_, slots)| slots.contains_key(&slot))
    }

    /// Whether patches have all of the slot.
    pub(super) fn is_patched(&self, pack: &PackRef, slot: u32) -> bool {
        let is_of = |key: &Key| matches!(parsed(key), Some((of, _, true)) if of == *pack);
        let patches = self.healers.iter().filter(|(key, _)| is_of(key));
        let has =
            patches.filter_map(|(_, (_, slots))| slots.get(&slot)).fold(0, |all, one| all | one);
        let blocks = self.blocks.get(&(*pack, slot)).map_or(0, Vec::len);
        blocks > 0 && (0..blocks).all(|at| has >> at & 1 == 1)
    }

    /// Whether an object that nobody damaged has the slot.
    pub(super) fn has_sound(&self, (pack, slot, _): &Slot) -> bool {
        let mut generations = self.tables.get(pack).into_iter().flatten();
        generations.any(|(generation, table)| {
            table.slots.contains_key(slot) && self.is_sound(pack, *generation)
        })
    }

    /// A pack was removed by the engine.
    pub(super) fn saw_removal(&mut self, pack: &PackRef, generation: u32) {
        if let Some(generations) = self.tables.get_mut(pack) {
            generations.remove(&generation);
            if generations.is_empty() {
                self.tables.remove(pack);
            }
        }
    }

    /// A patch was removed by the engine.
    pub(super) fn saw_patch_removal(&mut self, patch: &Key) {
        if let Some((_, slots)) = self.healers.get_mut(patch) {
            slots.clear();
        }
    }

    /// An object was damaged; this is how it was.
    pub(super) fn saw_harm(&mut self, key: &Key, before: Vec<u8>) {
        self.pristine.entry(key.clone()).or_insert(before);
    }

    /// Whether a slot is stored, if only in patches.
    pub(super) fn has(&self, (pack, slot, stored_bytes): &Slot) -> bool {
        let generations = self.tables.get(pack).into_iter().flat_map(BTreeMap::values);
        let mut slots = generations.filter_map(|table| table.slots.get(slot));
        slots.any(|(bytes, _)| bytes == stored_bytes) || self.is_patched(pack, *slot)
    }

    /// The other generations of a pack; also those that somebody lost.
    pub(super) fn besides(&self, pack: &PackRef, generation: u32) -> impl Iterator<Item = u32> {
        let generations = self.tables.get(pack).into_iter().flat_map(BTreeMap::keys);
        generations.copied().filter(move |other| *other != generation)
    }

    /// Whether another generation that nobody damaged has the slot.
    pub(super) fn has_sound_besides(&self, pack: &PackRef, generation: u32, slot: u32) -> bool {
        let mut sound = self.besides(pack, generation).filter(|other| self.is_sound(pack, *other));
        sound.any(|other| self.lists(pack, other, slot))
    }

    /// The numbers of a generation's slots.
    pub(super) fn slots(&self, pack: &PackRef, generation: u32) -> impl Iterator<Item = u32> {
        let table = self.tables.get(pack).and_then(|tables| tables.get(&generation));
        table.into_iter().flat_map(|table| table.slots.keys().copied())
    }

    /// Whether a generation has the slot, be it damaged.
    pub(super) fn lists(&self, pack: &PackRef, generation: u32, slot: u32) -> bool {
        let table = self.tables.get(pack).and_then(|tables| tables.get(&generation));
        table.is_some_and(|table| table.slots.contains_key(&slot))
    }

    fn is_sound(&self, pack: &PackRef, generation: u32) -> bool {
        !self.pristine.contains_key(&place::pack(pack, generation))
    }

    /// Whether a damaged object was this before.
    pub(super) fn was(&self, key: &Key, bytes: &[u8]) -> bool {
        self.pristine.get(key).is_some_and(|before| before == bytes)
    }

    /// A damaged object is what it was.
    pub(super) fn saw_mending(&mut self, key: &Key) {
        self.pristine.remove(key);
    }

    /// Every slot that is stored.
    pub(crate) fn stored(&self) -> BTreeSet<Slot> {
        let mut stored = BTreeSet::new();
        for (pack, generations) in &self.tables {
            for table in generations.values() {
                stored.extend(table.slots.iter().map(|(slot, (bytes, _))| (*pack, *slot, *bytes)));
            }
        }
        stored
    }

    /// The packs that are stored.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PackRef> {
        self.tables.keys()
    }

    /// The numbers of the tenant's keys that seal these packs.
    pub(super) fn keys_of(&self, packs: &BTreeSet<PackRef>) -> BTreeSet<u32> {
        let generations = packs.iter().filter_map(|pack| self.tables.get(pack));
        generations.flat_map(|tables| tables.values().map(|table| table.key_id)).collect()
    }

    /// All slots a map needs, from the node `child` on.
    pub(super) fn follow(
        &mut self,
        (objects, keys): (&Objects, &TenantKeys),
        chain: &ChainRef,
        child: &Child,
        needed: &mut BTreeSet<Slot>,
    ) -> Result<(), String> {
        if !needed.insert(named(chain, PackKind::Meta, &child.slot)) {
            return Ok(());
        }
        match self.node((objects, keys), chain, child) {
            None => Err(format!("{child:?} cannot be read")),
            Some(Node::Leaf(leaf)) => {
                for extent in leaf.extents {
                    if let Content::Data { slot, .. } = extent.content {
                        needed.insert(named(chain, PackKind::Data, &slot));
                    }
                }
                Ok(())
            }
            Some(Node::Inner(inner)) => inner
                .children
                .iter()
                .try_for_each(|(_, below)| self.follow((objects, keys), chain, below, needed)),
        }
    }

    fn node(
        &mut self,
        (objects, keys): (&Objects, &TenantKeys),
        chain: &ChainRef,
        child: &Child,
    ) -> Option<Node> {
        let (kind, id) = (PackKind::Meta, child.slot.pack);
        let pack = PackRef { domain: chain.domain(), kind, id };
        let name = (pack, child.slot.slot);
        if let Some(node) = self.nodes.get(&name) {
            return Some(node.clone());
        }
        let generation = *self.tables.get(&pack)?.keys().next_back()?;
        let key = place::pack(&pack, generation);
        let object = self.pristine.get(&key).or_else(|| objects.get(&key))?;
        let index = PackIndex::open(object, &pack, generation, keys).ok()?;
        let entry = index.slot(child.slot.slot)?;
        let start = usize::try_from(entry.offset).ok()?;
        let sealed = object.get(start..start + entry.stored_bytes as usize)?;
        let (mut encoded, mut plain) = (Vec::new(), Vec::new());
        open_slot(index.dek(), &pack, entry.head, sealed, &mut encoded).ok()?;
        let length = entry.head.plain_len as usize;
        let mut decoder = FrameDecoder::new().ok()?;
        decoder.decode(entry.head.codec, &encoded, length, &mut plain).ok()?;
        let node = Node::decode(&plain).ok()?;
        self.nodes.insert(name, node.clone());
        Some(node)
    }
}

/// The number of the tenant's key that sealed the object (docs/format/v1.md, header).
fn key_id(object: &[u8]) -> u32 {
    let bytes = object.get(24..28).and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}

/// Which generation a marker names, if it is one, and who wrote it (docs/format/v1.md, patches).
fn marked(by: &str) -> (Option<u32>, &str) {
    let marker = by.strip_prefix("generation ").and_then(|rest| {
        let (generation, rest) = rest.split_once(' ')?;
        let (_, by) = rest.split_once(" by ")?;
        Some((u32::from_str_radix(generation, 16).ok()?, by))
    });
    marker.map_or((None, by), |(generation, by)| (Some(generation), by))
}

/// What a key of a pack or a patch names.
pub(super) fn parsed(key: &Key) -> Option<(PackRef, u32, bool)> {
    match Place::parse(key)? {
        Place::Pack(pack, generation) => Some((pack, generation, false)),
        Place::Patch(pack, number) => Some((pack, number, true)),
        _ => None,
    }
}
