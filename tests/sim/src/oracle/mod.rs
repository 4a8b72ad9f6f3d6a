//! Who needs what, computed from the objects by other code than the engine's.
//!
//! It looks at every put and, before it happens, at every removal: an object that a live version
//! of any chain or an unresolved session needs must not go (P9, I4), a key that opens anything must
//! not be the last one that goes, and what heals a pack must be what the pack had (P5).

mod keys;
mod packs;

use std::collections::{BTreeMap, BTreeSet};

use cbr_store::backend::Key;
use cbr_store::format::id::{ChainRef, PackId, PackKind, PackRef, Scope, SessionNonce, SlotRef};
use cbr_store::format::place::{self, Place};
use cbr_store::format::record::{
    Claim, Commit, Deed, Delete, Note, Outcome, Record, Retire, RetiredSlots,
};

use uuid::Uuid;

use crate::model::Master;
use keys::Keys;
use packs::{Packs, parsed};

/// The objects, by key.
pub(crate) type Objects = BTreeMap<Key, Vec<u8>>;
/// A slot of a logical pack, and its stored bytes.
pub(crate) type Slot = (PackRef, u32, u32);

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Live,
    Trashed,
    Gone,
}

/// A committed version.
#[derive(Clone, Debug, Default)]
struct Version {
    needed: BTreeSet<Slot>,
    lists: BTreeSet<Slot>,
    parent: Option<u64>,
    borrows: bool,
    borrows_retired: bool,
}

/// A record that no key opens.
struct Unreadable;

/// A claim, and whether its parent was live when it was made.
#[derive(Clone, Debug)]
struct Claimed {
    claim: Claim,
    pins: bool,
}

/// What the log says, kept up to date put by put.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    keys: Keys,
    packs: Packs,
    versions: BTreeMap<(ChainRef, u64), Version>,
    claims: BTreeMap<(ChainRef, u64), Claimed>,
    ended: BTreeSet<(ChainRef, u64)>,
    deeds: BTreeMap<(ChainRef, u64), Vec<Deed>>,
    /// Slots that nobody may borrow any more; no number: all of the pack.
    retired: BTreeSet<(PackId, Option<u32>)>,
}

impl Oracle {
    /// Looks at an object that was put just now; what is wrong with it.
    pub(crate) fn saw_put(
        &mut self,
        objects: &Objects,
        masters: &[Master],
        key: &Key,
    ) -> Option<String> {
        let object = &objects[key];
        match Place::parse(key)? {
            Place::TenantKey(tenant, id) => {
                self.keys.saw_wrap(object, (key, tenant, id, 0), masters)
            }
            Place::TenantKeyBy(tenant, id, by) => {
                self.keys.saw_wrap(object, (key, tenant, id, by), masters)
            }
            Place::MaintenanceRing(tenant, id, by) => {
                self.keys.saw_ring((tenant, id, by));
                None
            }
            Place::Domain(domain) => self.keys.saw_domain(object, key, domain.tenant),
            Place::Shredded(tenant, _) => {
                self.keys.saw_shredded(tenant);
                None
            }
            Place::Pack(pack, generation) => {
                let keys = self.keys.ring(pack.domain.tenant);
                self.packs.saw_put(object, (key, pack, generation), keys)
            }
            Place::Patch(pack, number) => {
                let keys = self.keys.ring(pack.domain.tenant);
                self.packs.saw_patch(object, (key, pack, number), keys)
            }
            Place::Claim(chain, _)
            | Place::Outcome(chain, _)
            | Place::Delete(chain, _)
            | Place::Fold(chain, _) => {
                let read = self.saw_record(objects, key, chain);
                read.unwrap_or_else(|Unreadable| Some(format!("{key} cannot be read by anybody")))
            }
            Place::Note(tenant, ..) => {
                let opened = self.keys.ring(tenant).map(|keys| Note::open(object, key, keys));
                let is_open = opened.is_some_and(|opened| opened.is_ok());
                (!is_open).then(|| format!("{key} cannot be read by anybody"))
            }
            Place::Retire(domain, _) => {
                let retire = Retire::open(object, key, self.keys.ring(domain.tenant)?).ok()?;
                for (pack, slots) in retire.packs {
                    match slots {
                        RetiredSlots::All => drop(self.retired.insert((pack, None))),
                        RetiredSlots::Some(slots) => {
                            self.retired.extend(slots.into_iter().map(|slot| (pack, Some(slot))));
                        }
                    }
                }
                None
            }
            _ => None,
        }
    }

    /// What is wrong with a record of a chain.
    ///
    /// # Errors
    /// It cannot be read with the keys that are there.
    fn saw_record(
        &mut self,
        objects: &Objects,
        key: &Key,
        chain: ChainRef,
    ) -> Result<Option<String>, Unreadable> {
        let object = &objects[key];
        let keys = self.keys.ring(chain.tenant).ok_or(Unreadable)?;
        match Place::parse(key).ok_or(Unreadable)? {
            Place::Claim(_, seq) => {
                let claim = Claim::open(object, key, keys).map_err(|_| Unreadable)?;
                let pins = claim.parent.is_some_and(|parent| self.is_kept(chain, parent));
                self.claims.insert((chain, seq), Claimed { claim, pins });
            }
            Place::Delete(..) => {
                let delete = Delete::open(object, key, keys).map_err(|_| Unreadable)?;
                for seq in delete.seqs {
                    self.deeds.entry((chain, seq)).or_default().push(delete.deed);
                }
            }
            Place::Outcome(_, seq) => {
                let outcome = Outcome::open(object, key, keys).map_err(|_| Unreadable)?;
                self.ended.insert((chain, seq));
                if let Outcome::Commit(commit) = outcome {
                    return Ok(self.saw_commit(objects, chain, seq, &commit));
                }
            }
            _ => {}
        }
        Ok(None)
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
        let keys = self.keys.ring(chain.tenant)?;
        let walked = match commit.root.node {
            Some(root) => self.packs.follow((objects, keys), &chain, &root, &mut needed),
            None => Ok(()),
        };
        let named = |slot: &SlotRef| named(&chain, PackKind::Meta, slot);
        let lists = commit.lists().map(named).collect();
        let parent = commit.parent.map(|(parent, _)| parent);
        let lacking = needed.iter().find(|slot| !self.packs.has(slot)).copied();
        let is_retired = |slot: &Slot| {
            let others = slot.0.kind == PackKind::Data && slot.0.id.session() != commit.nonce;
            let parts = [(slot.0.id, None), (slot.0.id, Some(slot.1))];
            others && parts.iter().any(|part| self.retired.contains(part))
        };
        let borrows = !commit.lenders().is_empty();
        let borrows_retired = borrows && needed.iter().any(is_retired);
        let version = Version { needed, lists, parent, borrows, borrows_retired };
        self.versions.insert((chain, seq), version);
        match (walked, lacking) {
            (Err(what), _) => Some(format!("version {seq} is committed, but {what}")),
            (_, Some(slot)) => {
                Some(format!("version {seq} is committed, but {slot:?} is not there"))
            }
            _ => None,
        }
    }

    /// What is wrong with removing `key` now; `is_undone`: of a repair that somebody undoes.
    pub(crate) fn sees_removal(
        &self,
        objects: &Objects,
        key: &Key,
        is_undone: bool,
    ) -> Option<String> {
        match Place::parse(key)? {
            Place::Pack(pack, generation) => {
                let has = |slot| {
                    self.packs.has_sound_besides(&pack, generation, slot)
                        || self.packs.is_patched(&pack, slot)
                };
                let wrong = self.sees_pack_go(key, &pack, generation, has);
                if is_undone && wrong.is_some() {
                    return self.sees_generation_undone(objects, key, &pack, generation);
                }
                wrong
            }
            Place::Patch(..) if is_undone => None,
            Place::Patch(pack, _) => {
                // Where the pack was written anew whole, its patches have done their work.
                let is_lost = |slot: &Slot| {
                    slot.0 == pack && self.packs.heals(key, slot.1) && !self.packs.has_sound(slot)
                };
                let needed = self.versions.iter().any(|(at, version)| {
                    self.is_kept(at.0, at.1) && version.needed.iter().any(is_lost)
                });
                needed.then(|| format!("{key} is removed, but its pack is needed"))
            }
            Place::TenantKey(tenant, id) => self.keys.sees_unwrapping(objects, (tenant, id, 0)),
            Place::TenantKeyBy(tenant, id, by) => {
                self.keys.sees_unwrapping(objects, (tenant, id, by))
            }
            Place::Descriptor => self.keys.sees_end(objects, 0),
            Place::DescriptorOf(number) => self.keys.sees_end(objects, number),
            Place::Claim(..)
            | Place::Outcome(..)
            | Place::Delete(..)
            | Place::Retire(..)
            | Place::Note(..) => Some(format!("{key} is removed; records stay")),
            _ => None,
        }
    }

    /// Whether it is a pack of blocks that several versions need.
    pub(crate) fn is_of_several(&self, key: &Key) -> bool {
        let Some((pack, _, false)) = parsed(key) else { return false };
        let range = (pack, 0, 0)..=(pack, u32::MAX, u32::MAX);
        let kept = self.versions.iter().filter(|(at, _)| self.is_kept(at.0, at.1));
        let users =
            kept.filter(|(_, version)| version.needed.range(range.clone()).next().is_some());
        pack.kind == PackKind::Data && users.count() > 1
    }

    /// Whether the removal of `key` leaves something that is needed to patches alone.
    pub(crate) fn leaves_to_patches(&self, key: &Key) -> Option<Scope> {
        let Some((pack, generation, false)) = parsed(key) else { return None };
        let range = (pack, 0, 0)..=(pack, u32::MAX, u32::MAX);
        let is_left = |slot: &Slot| {
            !self.packs.has_sound_besides(&pack, generation, slot.1)
                && self.packs.is_patched(&pack, slot.1)
        };
        let mut versions = self.versions.iter().filter(|(at, _)| self.is_kept(at.0, at.1));
        let is_any = versions.any(|(_, version)| version.needed.range(range.clone()).any(is_left));
        is_any.then_some(pack.domain.scope)
    }

    /// What an undo takes away may leave what is damaged, but never nothing.
    fn sees_generation_undone(
        &self,
        objects: &Objects,
        key: &Key,
        pack: &PackRef,
        generation: u32,
    ) -> Option<String> {
        let others = || {
            let others = self.packs.besides(pack, generation);
            others.filter(|other| objects.contains_key(&place::pack(pack, *other)))
        };
        if others().next().is_none() {
            return Some(format!("{key} is undone, and is all there is of its pack"));
        }
        let has = |slot| others().any(|other| self.packs.lists(pack, other, slot));
        self.sees_pack_go(key, pack, generation, has)
    }

    /// `has`: whether another generation than this one has the slot.
    fn sees_pack_go(
        &self,
        key: &Key,
        pack: &PackRef,
        generation: u32,
        has: impl Fn(u32) -> bool,
    ) -> Option<String> {
        let author = pack.id.session();
        let is_open = |(at, claimed): (&(ChainRef, u64), &Claimed)| {
            claimed.claim.nonce == author && !self.ended.contains(at)
        };
        // What a repair wrote beside it may go again.
        let is_elsewhere = self.packs.slots(pack, generation).all(&has);
        if !is_elsewhere && self.claims.iter().any(is_open) {
            return Some(format!("{key} is removed under the session that writes it"));
        }
        for (at, version) in &self.versions {
            if !self.is_kept(at.0, at.1) && !self.is_pinned(at.0, at.1) {
                continue;
            }
            let range = (*pack, 0, 0)..=(*pack, u32::MAX, u32::MAX);
            if let Some(slot) = version.needed.range(range).find(|slot| !has(slot.1)) {
                let (slot, seq) = (slot.1, at.1);
                return Some(format!("{key} is removed, but version {seq} needs its slot {slot}"));
            }
        }
        None
    }

    /// An object was removed by the engine.
    pub(crate) fn saw_removal(&mut self, key: &Key) {
        match parsed(key) {
            Some((pack, generation, false)) => self.packs.saw_removal(&pack, generation),
            Some((.., true)) => self.packs.saw_patch_removal(key),
            None => {}
        }
    }

    /// An object was damaged; this is how it was.
    pub(crate) fn saw_harm(&mut self, key: &Key, before: Vec<u8>) {
        self.packs.saw_harm(key, before);
    }

    /// Whether a damaged object was this before.
    pub(crate) fn was(&self, key: &Key, bytes: &[u8]) -> bool {
        self.packs.was(key, bytes)
    }

    /// A damaged object is what it was.
    pub(crate) fn saw_mending(&mut self, key: &Key) {
        self.packs.saw_mending(key);
    }

    /// Who wrote a patch, or what a repair has put beside a damaged pack.
    pub(crate) fn menders(&self, key: &Key) -> BTreeSet<String> {
        self.packs.menders(key)
    }

    /// Whether the version is committed and not deleted.
    pub(crate) fn is_live(&self, chain: ChainRef, seq: u64) -> bool {
        self.versions.contains_key(&(chain, seq)) && self.fate(chain, seq) == Fate::Live
    }

    /// Whether it is committed and not gone: live, or in the trash.
    pub(crate) fn is_kept(&self, chain: ChainRef, seq: u64) -> bool {
        self.versions.contains_key(&(chain, seq)) && self.fate(chain, seq) != Fate::Gone
    }

    /// What the delete records make of a version.
    pub(crate) fn fate(&self, chain: ChainRef, seq: u64) -> Fate {
        self.fates(chain, seq).last().copied().unwrap_or(Fate::Live)
    }

    /// What a version was before any delete record named it, and after each of those that do.
    pub(crate) fn fates(&self, chain: ChainRef, seq: u64) -> Vec<Fate> {
        let mut fates = vec![Fate::Live];
        for deed in self.deeds.get(&(chain, seq)).into_iter().flatten() {
            fates.push(match (fates[fates.len() - 1], deed) {
                (Fate::Gone, _) | (_, Deed::Delete) | (Fate::Trashed, Deed::Purge) => Fate::Gone,
                (Fate::Live, Deed::Trash) => Fate::Trashed,
                (Fate::Trashed, Deed::Restore) => Fate::Live,
                (fate, _) => fate,
            });
        }
        fates
    }

    /// The versions of a chain that are in the trash.
    pub(crate) fn trashed(&self, chain: ChainRef) -> BTreeSet<u64> {
        let of_chain = self.versions.keys().filter(|at| at.0 == chain).map(|at| at.1);
        of_chain.filter(|seq| self.fate(chain, *seq) == Fate::Trashed).collect()
    }

    /// Whether an unresolved session builds on it.
    fn is_pinned(&self, chain: ChainRef, seq: u64) -> bool {
        self.claims.iter().any(|(at, claimed)| {
            at.0 == chain
                && claimed.pins
                && claimed.claim.parent == Some(seq)
                && !self.ended.contains(at)
        })
    }

    /// Whether an unresolved session builds on a version that was deleted.
    pub(crate) fn has_dead_pin(&self) -> bool {
        let open = self.claims.iter().filter(|(at, _)| !self.ended.contains(*at));
        let mut parents = open.filter(|(_, claimed)| claimed.pins);
        parents.any(|(at, claimed)| {
            claimed.claim.parent.is_some_and(|parent| !self.is_kept(at.0, parent))
        })
    }

    /// Whether the version points to what another chain has written.
    pub(crate) fn borrows(&self, chain: ChainRef, seq: u64) -> bool {
        self.versions.get(&(chain, seq)).is_some_and(|version| version.borrows)
    }

    /// Whether it points to what was retired before it was committed.
    pub(crate) fn borrows_retired(&self, chain: ChainRef, seq: u64) -> bool {
        self.versions.get(&(chain, seq)).is_some_and(|version| version.borrows_retired)
    }

    /// Whether the tenant has keys.
    pub(crate) fn has_keys(&self, tenant: Uuid) -> bool {
        self.keys.ring(tenant).is_some()
    }

    /// How many of the tenant's keys are needed to read the version.
    pub(crate) fn keys_of(&self, chain: ChainRef, seq: u64) -> Option<usize> {
        self.versions.get(&(chain, seq))?;
        Some(self.packs.keys_of(&self.packs_of(chain, seq)).len())
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

    /// The slots that live versions and those in the trash need, and those of lists on their lineage.
    pub(crate) fn needed(&self) -> BTreeSet<Slot> {
        let mut needed = BTreeSet::new();
        let mut heads: BTreeMap<ChainRef, u64> = BTreeMap::new();
        for ((chain, seq), version) in &self.versions {
            if self.is_kept(*chain, *seq) {
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
    pub(crate) fn stored(&self) -> BTreeSet<Slot> {
        self.packs.stored()
    }

    /// Packs of sessions that made no version.
    pub(crate) fn strays(&self) -> Vec<PackRef> {
        let authors: BTreeSet<SessionNonce> =
            self.versions.keys().filter_map(|at| Some(self.claims.get(at)?.claim.nonce)).collect();
        let is_stray = |pack: &&PackRef| !authors.contains(&pack.id.session());
        self.packs.all().filter(is_stray).copied().collect()
    }
}

fn named(chain: &ChainRef, kind: PackKind, slot: &SlotRef) -> Slot {
    (PackRef { domain: chain.domain(), kind, id: slot.pack }, slot.slot, slot.stored_bytes)
}
