//! Bringing a pack down to one generation without (many) dead slots.

use std::collections::{BTreeMap, BTreeSet};

use super::compact::{Survivors, rewrite};
use super::needed::needed_slots;
use super::plan::PackName;
use super::shared::Books;
use super::sweep::Sweep;
use crate::backend::BackendError;
use crate::chain::ChainLog;
use crate::error::{Error, Result};
use crate::format::id::{PackRef, Scope};
use crate::format::pack::{PackIndex, Patch, SlotEntry};
use crate::heal::is_by_repair;
use crate::packs::Scratch;
use crate::planted::{self, Bug};

/// What the older generations of a pack are good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Older {
    /// There are none, or the newest has everything of them that is needed.
    Superseded,
    /// They cannot be read: what they had is known from the maps only.
    Unreadable,
    /// They have needed slots that the newest lacks.
    Needed,
}

impl Sweep<'_> {
    /// Brings a pack down to one generation without (many) dead slots; returns the bytes saved.
    ///
    /// One of which something needed is lost stays as it is, for a repair, and the others are
    /// dealt with (P5). What is lost of a pack and lies in its patches is not lost.
    pub(super) fn shrink(
        &self,
        name: &PackName,
        generations: &BTreeMap<u32, u64>,
        dead: &BTreeSet<u32>,
    ) -> Result<u64> {
        match self.shrink_readable(name, generations, dead) {
            Err(error) if error.is_damage() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(pack = %name.1, error, "a damaged pack is not rewritten");
                Ok(0)
            }
            shrunk => shrunk,
        }
    }

    fn shrink_readable(
        &self,
        name: &PackName,
        generations: &BTreeMap<u32, u64>,
        dead: &BTreeSet<u32>,
    ) -> Result<u64> {
        let Some((newest, _)) = generations.last_key_value() else { return Ok(0) };
        let pack = self.packs.pack(name.0, name.1);
        let Some(index) = PackIndex::read(self.packs.backend(), &pack, *newest, self.packs.keys())?
        else {
            return Ok(0);
        };
        let survivors = Survivors::of(&index, dead);
        let older: BTreeMap<u32, u64> =
            generations.range(..newest).map(|(generation, size)| (*generation, *size)).collect();
        let is_empty = survivors.slots.is_empty() && !self.is_mended(&pack, dead)?;
        let is_rewritten = is_empty || survivors.is_worth_it(self.compact_below_percent);
        let has_all = match self.older(&index, &older, dead)? {
            Older::Superseded => true,
            Older::Unreadable => self.has_all_needed(name, &index)?,
            Older::Needed => false,
        };
        if !has_all {
            tracing::error!(pack = %index.key(), "a rewritten pack lacks slots; the older one stays");
            return Ok(0);
        }
        if is_empty {
            return self.remove(name, generations);
        }
        // Nothing goes before what replaces all of it is durable: an undo may be about to remove the
        // newest, because there is an older one.
        if is_rewritten
            && let Some(saved) = self.rewrite(name, &index, (&survivors, generations))?
        {
            return Ok(saved);
        }
        // What a repair has replaced stays for an undo of it.
        if !older.is_empty() && self.is_undoable(&pack, *newest)? {
            return Ok(0);
        }
        self.remove(name, &older)
    }

    /// Writes all slots of a pack that is sealed with an older key of the tenant anew, under the newest
    /// one and a new data key, and removes what it was; false if that cannot be done now.
    pub(crate) fn reseal(&self, name: &PackName, generations: &BTreeMap<u32, u64>) -> Result<bool> {
        let Some((newest, size)) = generations.last_key_value() else { return Ok(true) };
        let pack = self.packs.pack(name.0, name.1);
        let keys = self.packs.keys();
        let Some(index) = PackIndex::read(self.packs.backend(), &pack, *newest, keys)? else {
            return Ok(true);
        };
        let nothing = BTreeSet::new();
        let older: BTreeMap<u32, u64> =
            generations.range(..newest).map(|(generation, size)| (*generation, *size)).collect();
        let has_all = match self.older(&index, &older, &nothing)? {
            Older::Superseded => true,
            // What a session may have borrowed of them is for a sweep to see, which retires it first.
            Older::Unreadable if self.log.chain.scope != Scope::Volume => false,
            Older::Unreadable => self.has_all_needed(name, &index)?,
            // A compaction that was interrupted: the next sweep ends it.
            Older::Needed => false,
        };
        if !has_all {
            return Ok(false);
        }
        if index.sealed_by() != keys.sealing_id() {
            let survivors = Survivors::of(&index, &nothing);
            match rewrite(self.packs, self.log.random.as_ref(), &index, &survivors)? {
                Some(_) => drop(self.remove(name, &BTreeMap::from([(*newest, *size)]))?),
                None => return Ok(false),
            }
        }
        self.remove(name, &older)?;
        Ok(true)
    }

    /// Writes the next generation, then removes the `older` ones; the bytes saved, or none if nothing
    /// was written.
    fn rewrite(
        &self,
        name: &PackName,
        index: &PackIndex,
        (survivors, older): (&Survivors, &BTreeMap<u32, u64>),
    ) -> Result<Option<u64>> {
        if planted::has(Bug::RemovedBeforeRewritten) {
            self.remove(name, older)?;
        }
        match rewrite(self.packs, self.log.random.as_ref(), index, survivors) {
            Ok(Some(new_size)) => Ok(Some(self.remove(name, older)?.saturating_sub(new_size))),
            Ok(None) => Ok(None),
            // On a full disk removing must go on (P19); another sweep will rewrite it.
            Err(Error::Backend(BackendError::NoSpace { .. })) => {
                tracing::warn!(pack = %index.key(), "no space to rewrite a pack");
                Ok(None)
            }
            Err(error) if error.is_damage() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(pack = %index.key(), error, "a damaged pack is not rewritten");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What the older generations are good for.
    fn older(
        &self,
        newest: &PackIndex,
        older: &BTreeMap<u32, u64>,
        dead: &BTreeSet<u32>,
    ) -> Result<Older> {
        let (mut found, mut scratch) = (Older::Superseded, Scratch::new()?);
        for generation in older.keys() {
            let (backend, keys) = (self.packs.backend(), self.packs.keys());
            let index = match PackIndex::read(backend, newest.pack(), *generation, keys) {
                Ok(Some(index)) => index,
                Ok(None) => continue,
                Err(error) if error.is_damage() => {
                    found = Older::Unreadable;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let lacks = |entry: &&SlotEntry| {
                newest.slot(entry.head.slot).is_none() && !dead.contains(&entry.head.slot)
            };
            for entry in index.slots().iter().filter(lacks) {
                // What was rewritten leaves to its patches what they have healed.
                if !self.packs.is_in_patches(newest.pack(), entry, &mut scratch)? {
                    return Ok(Older::Needed);
                }
            }
        }
        Ok(found)
    }

    /// Whether everything of the pack that any map or list names can be had without its older
    /// generations.
    fn has_all_needed(&self, (kind, id): &PackName, newest: &PackIndex) -> Result<bool> {
        // Where chains share blocks the others' maps name it too.
        let books = Books::read(self.log, ChainLog::read_all_names)?;
        let Some(needed) = needed_slots(&books, self.packs, (*kind, *id))? else {
            return Ok(false);
        };
        let pack = self.packs.pack(*kind, *id);
        let patches = self.patches_of(&pack)?;
        let has = |slot: &u32| {
            newest.slot(*slot).is_some()
                || patches.iter().flatten().any(|patch| patch.slot(*slot).is_some())
        };
        Ok(needed.iter().all(has))
    }

    /// Whether patches have slots of the pack that are not dead. One that cannot be read may.
    pub(super) fn is_mended(&self, pack: &PackRef, dead: &BTreeSet<u32>) -> Result<bool> {
        let needed = |patch: &Option<Patch>| match patch {
            None => true,
            Some(patch) => {
                let mut slots = patch.index().slots().iter().map(|entry| entry.head.slot);
                slots.any(|slot| !dead.contains(&slot))
            }
        };
        Ok(self.patches_of(pack)?.iter().any(needed))
    }

    /// Whether a repair wrote this generation and can be undone.
    pub(super) fn is_undoable(&self, pack: &PackRef, generation: u32) -> Result<bool> {
        let patches = self.patches_of(pack)?;
        Ok(patches.iter().flatten().any(|patch| is_by_repair(patch, generation)))
    }

    /// The patches of a pack; none for one that is there and cannot be read.
    fn patches_of(&self, pack: &PackRef) -> Result<Vec<Option<Patch>>> {
        let mut patches = Vec::new();
        for number in self.packs.patches(pack)? {
            match Patch::read(self.packs.backend(), pack, number, self.packs.keys()) {
                Ok(Some(patch)) => patches.push(Some(patch)),
                Ok(None) => {}
                Err(error) if error.is_damage() => patches.push(None),
                Err(error) => return Err(error),
            }
        }
        Ok(patches)
    }
}
