//! Who needs what, computed from the objects by other code than the engine's.
//!
//! It looks at every put and, before it happens, at every removal: an object that a live version
//! or an unresolved session needs must not go (P9, I4).

use std::collections::{BTreeMap, BTreeSet};

use cbr_store::backend::{Backend, BackendError, Entry, Key, Page, Put};
use cbr_store::crypto::{MasterKey, TenantKey, TenantKeys};
use cbr_store::format::frame::FrameDecoder;
use cbr_store::format::id::{ChainRef, PackKind, PackRef, SessionNonce, SlotRef};
use cbr_store::format::node::{Child, Content, Node};
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place::{self, Place};
use cbr_store::format::record::{Claim, Commit, Delete, Outcome, Record};
use cbr_store::format::slot::open_slot;

/// The objects, by key.
pub(crate) type Objects = BTreeMap<Key, Vec<u8>>;
/// A slot of a logical pack, and its stored bytes.
pub(crate) type Slot = (PackRef, u32, u32);

/// Objects as a backend that cannot be changed.
#[derive(Debug)]
pub(crate) struct Frozen<'a>(pub(crate) &'a Objects);

impl Backend for Frozen<'_> {
    fn put_new(&self, key: &Key, _: &[&[u8]]) -> Result<Put, BackendError> {
        unreachable!("{key} is put into frozen objects")
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.0.get(key).cloned())
    }

    fn get_range(&self, key: &Key, at: u64, into: &mut [u8]) -> Result<Option<()>, BackendError> {
        let Some(object) = self.0.get(key) else { return Ok(None) };
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let part = object.get(start..start.saturating_add(into.len()));
        let end = at.saturating_add(into.len() as u64);
        let short = || BackendError::Short { key: key.to_string(), end };
        into.copy_from_slice(part.ok_or_else(short)?);
        Ok(Some(()))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        Ok(self.0.get(key).map(|object| object.len() as u64))
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let entry = |(key, object): (&Key, &Vec<u8>)| Entry {
            key: key.clone(),
            size_bytes: object.len() as u64,
        };
        let wanted = |key: &Key| key.as_str().starts_with(prefix) && after.is_none_or(|a| key > a);
        let entries = self.0.iter().filter(|(key, _)| wanted(key)).map(entry).collect();
        Ok(Page { entries, is_last: true })
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        unreachable!("{key} is deleted from frozen objects")
    }

    fn describe(&self) -> String {
        "frozen".to_owned()
    }
}

/// A committed version.
#[derive(Clone, Debug, Default)]
struct Version {
    needed: BTreeSet<Slot>,
    lists: BTreeSet<Slot>,
    parent: Option<u64>,
}

/// A claim, and whether its parent was live when it was made.
#[derive(Clone, Debug)]
struct Claimed {
    claim: Claim,
    pins: bool,
}

/// What the log says, kept up to date put by put.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    keys: Option<TenantKeys>,
    versions: BTreeMap<(ChainRef, u64), Version>,
    claims: BTreeMap<(ChainRef, u64), Claimed>,
    ended: BTreeSet<(ChainRef, u64)>,
    deleted: BTreeSet<(ChainRef, u64)>,
}

impl Oracle {
    /// Looks at an object that was put just now; what is wrong with it.
    pub(crate) fn saw_put(
        &mut self,
        objects: &Objects,
        master: &[u8; 32],
        key: &Key,
    ) -> Option<String> {
        let object = &objects[key];
        match Place::parse(key)? {
            Place::TenantKey(tenant, id) => {
                let master = MasterKey::from_bytes(*master).keys();
                let tenant_key = TenantKey::open(object, key, &master).ok()?;
                self.keys = Some(TenantKeys::derive(tenant, id, &tenant_key));
            }
            Place::Claim(chain, seq) => {
                let claim = Claim::open(object, key, self.keys.as_ref()?).ok()?;
                let pins = claim.parent.is_some_and(|parent| self.is_live(chain, parent));
                self.claims.insert((chain, seq), Claimed { claim, pins });
            }
            Place::Delete(chain, _) => {
                let delete = Delete::open(object, key, self.keys.as_ref()?).ok()?;
                self.deleted.extend(delete.seqs.into_iter().map(|seq| (chain, seq)));
            }
            Place::Outcome(chain, seq) => {
                let outcome = Outcome::open(object, key, self.keys.as_ref()?).ok()?;
                self.ended.insert((chain, seq));
                if let Outcome::Commit(commit) = outcome {
                    return self.saw_commit(objects, chain, seq, &commit);
                }
            }
            _ => {}
        }
        None
    }

    fn saw_commit(
        &mut self,
        objects: &Objects,
        chain: ChainRef,
        seq: u64,
        commit: &Commit,
    ) -> Option<String> {
        let claim = self.claims.get(&(chain, seq)).map(|claimed| claimed.claim.nonce);
        if claim != Some(commit.nonce) {
            return Some(format!("version {seq} was committed on another's claim"));
        }
        let mut needed = BTreeSet::new();
        let walked = match commit.root.node {
            Some(root) => self.follow(objects, &chain, &root, &mut needed),
            None => Ok(()),
        };
        let named = |slot: &SlotRef| named(&chain, PackKind::Meta, slot);
        let lists = commit.deaths.iter().map(named).collect();
        let parent = commit.parent.map(|(parent, _)| parent);
        let stored = self.stored(objects);
        let gone = needed.difference(&stored).next();
        let version = Version { needed: needed.clone(), lists, parent };
        self.versions.insert((chain, seq), version);
        match (walked, gone) {
            (Err(what), _) => Some(format!("version {seq} is committed, but {what}")),
            (_, Some(slot)) => {
                Some(format!("version {seq} is committed, but {slot:?} is not there"))
            }
            _ => None,
        }
    }

    /// What is wrong with removing `key` now.
    pub(crate) fn sees_removal(&self, objects: &Objects, key: &Key) -> Option<String> {
        let Place::Pack(pack, generation) = Place::parse(key)? else { return None };
        let author = pack.id.session();
        let is_open = |(at, claimed): (&(ChainRef, u64), &Claimed)| {
            claimed.claim.nonce == author && !self.ended.contains(at)
        };
        if self.claims.iter().any(is_open) {
            return Some(format!("{key} is removed under the session that writes it"));
        }
        let mut needed: BTreeSet<u32> = BTreeSet::new();
        for (at, version) in &self.versions {
            if self.is_live(at.0, at.1) || self.is_pinned(at.0, at.1) {
                needed.extend(version.needed.iter().filter(|s| s.0 == pack).map(|s| s.1));
            }
        }
        if needed.is_empty() {
            return None;
        }
        for other in objects.keys() {
            let Some(Place::Pack(found, other_generation)) = Place::parse(other) else { continue };
            if found == pack && other_generation != generation {
                for (_, slot, _) in self.slots(objects, &pack, other_generation) {
                    needed.remove(&slot);
                }
            }
        }
        let slot = needed.first()?;
        Some(format!("{key} is removed, but its slot {slot} is needed"))
    }

    /// Whether the version is committed and not deleted.
    pub(crate) fn is_live(&self, chain: ChainRef, seq: u64) -> bool {
        self.versions.contains_key(&(chain, seq)) && !self.deleted.contains(&(chain, seq))
    }

    /// Whether an unresolved session builds on it.
    pub(crate) fn is_pinned(&self, chain: ChainRef, seq: u64) -> bool {
        self.claims.iter().any(|(at, claimed)| {
            at.0 == chain
                && claimed.pins
                && claimed.claim.parent == Some(seq)
                && !self.ended.contains(at)
        })
    }

    /// The parents of unresolved sessions.
    pub(crate) fn dead_pins(&self) -> impl Iterator<Item = (ChainRef, u64)> + '_ {
        let open = self.claims.iter().filter(|(at, _)| !self.ended.contains(*at));
        open.filter_map(|(at, claimed)| Some((at.0, claimed.claim.parent?)))
    }

    /// Whether a session of this owner ended without a version.
    pub(crate) fn was_aborted(&self, owner: &str) -> bool {
        self.claims.iter().any(|(at, claimed)| {
            claimed.claim.owner == owner
                && self.ended.contains(at)
                && !self.versions.contains_key(at)
        })
    }

    /// Whose claim became this version.
    pub(crate) fn owner(&self, chain: ChainRef, seq: u64) -> Option<&str> {
        self.versions.get(&(chain, seq))?;
        Some(&self.claims.get(&(chain, seq))?.claim.owner)
    }

    /// The slots that live versions need, and those of death lists on their lineage.
    pub(crate) fn needed(&self) -> BTreeSet<Slot> {
        let mut needed = BTreeSet::new();
        let mut heads: BTreeMap<ChainRef, u64> = BTreeMap::new();
        for ((chain, seq), version) in &self.versions {
            if self.is_live(*chain, *seq) {
                needed.extend(&version.needed);
                heads.insert(*chain, *seq);
            }
        }
        for (chain, head) in heads {
            let mut at = Some(head);
            while let Some(version) = at.and_then(|seq| self.versions.get(&(chain, seq))) {
                needed.extend(&version.lists);
                at = version.parent;
            }
        }
        needed
    }

    /// Of which packs the version needs something.
    pub(crate) fn packs_of(&self, chain: ChainRef, seq: u64) -> BTreeSet<PackRef> {
        let version = self.versions.get(&(chain, seq));
        version.into_iter().flat_map(|v| v.needed.iter().map(|slot| slot.0)).collect()
    }

    /// Every slot that is stored.
    pub(crate) fn stored(&self, objects: &Objects) -> BTreeSet<Slot> {
        let mut stored = BTreeSet::new();
        for key in objects.keys() {
            if let Some(Place::Pack(pack, generation)) = Place::parse(key) {
                stored.extend(self.slots(objects, &pack, generation));
            }
        }
        stored
    }

    /// Packs of sessions that made no version.
    pub(crate) fn strays(&self, objects: &Objects) -> Vec<Key> {
        let authors: BTreeSet<SessionNonce> =
            self.versions.keys().filter_map(|at| Some(self.claims.get(at)?.claim.nonce)).collect();
        let is_stray = |key: &Key| match Place::parse(key) {
            Some(Place::Pack(pack, _)) => !authors.contains(&pack.id.session()),
            _ => false,
        };
        objects.keys().filter(|key| is_stray(key)).cloned().collect()
    }

    fn slots(&self, objects: &Objects, pack: &PackRef, generation: u32) -> Vec<Slot> {
        let Some(keys) = &self.keys else { return Vec::new() };
        let Ok(Some(index)) = PackIndex::read(&Frozen(objects), pack, generation, keys) else {
            return Vec::new();
        };
        index.slots().iter().map(|slot| (*pack, slot.head.slot, slot.stored_bytes)).collect()
    }

    fn follow(
        &self,
        objects: &Objects,
        chain: &ChainRef,
        child: &Child,
        needed: &mut BTreeSet<Slot>,
    ) -> Result<(), String> {
        if !needed.insert(named(chain, PackKind::Meta, &child.slot)) {
            return Ok(());
        }
        match self.node(objects, chain, child).ok_or_else(|| format!("{child:?} cannot be read"))? {
            Node::Leaf(leaf) => {
                for extent in leaf.extents {
                    if let Content::Data { slot, .. } = extent.content {
                        needed.insert(named(chain, PackKind::Data, &slot));
                    }
                }
                Ok(())
            }
            Node::Inner(inner) => {
                let mut children = inner.children.iter();
                children.try_for_each(|(_, below)| self.follow(objects, chain, below, needed))
            }
        }
    }

    fn node(&self, objects: &Objects, chain: &ChainRef, child: &Child) -> Option<Node> {
        let keys = self.keys.as_ref()?;
        let (kind, id) = (PackKind::Meta, child.slot.pack);
        let pack = PackRef { domain: chain.domain(), kind, id };
        let prefix = place::pack_generations(&pack);
        let newest = objects.keys().rfind(|key| key.as_str().starts_with(&prefix))?;
        let Place::Pack(_, generation) = Place::parse(newest)? else { return None };
        let index = PackIndex::read(&Frozen(objects), &pack, generation, keys).ok()??;
        let entry = index.slot(child.slot.slot)?;
        let start = usize::try_from(entry.offset).ok()?;
        let sealed = objects[newest].get(start..start + entry.stored_bytes as usize)?;
        let (mut encoded, mut plain) = (Vec::new(), Vec::new());
        open_slot(index.dek(), &pack, entry.head, sealed, &mut encoded).ok()?;
        let length = entry.head.plain_len as usize;
        let mut decoder = FrameDecoder::new().ok()?;
        decoder.decode(entry.head.codec, &encoded, length, &mut plain).ok()?;
        Node::decode(&plain).ok()
    }
}

fn named(chain: &ChainRef, kind: PackKind, slot: &SlotRef) -> Slot {
    (PackRef { domain: chain.domain(), kind, id: slot.pack }, slot.slot, slot.stored_bytes)
}
