//! Doing what the plan says.

use std::collections::{BTreeMap, BTreeSet};

use super::compact::{Survivors, rewrite};
use super::patches;
use super::plan::{Listed, PackName, Plan, author, is_needed, lists_to_read, plan};
use crate::backend::{BackendError, BackendExt, Key};
use crate::chain::{ChainLog, History, Lineage};
use crate::error::{Error, Result};
use crate::format::deaths::Deaths;
use crate::format::id::{PackKind, SessionNonce, SlotRef};
use crate::format::pack::PackIndex;
use crate::format::place::{self, Place};
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};

/// How often a sweep looks before it believes that something does not fit together.
const LOOKS_MAX: usize = 3;

/// What a sweep sees and concludes before it removes anything.
struct Look {
    listed: Listed,
    plan: Plan,
    dead: BTreeMap<PackName, BTreeSet<u32>>,
    patches: Vec<(Key, u64)>,
}

/// One sweep over one chain.
pub(crate) struct Sweep<'a> {
    pub(crate) log: &'a ChainLog,
    pub(crate) packs: &'a Packs,
    pub(crate) compact_below_percent: u8,
}

impl Sweep<'_> {
    /// Removes and compacts; returns the bytes of objects that went, less those that came.
    pub(crate) fn run(&self) -> Result<u64> {
        let Look { listed, plan, dead, patches } = self.look_until_it_fits()?;
        // Everything that could contradict itself has been looked at: from here on things go.
        let mut removed = 0;
        for name in &plan.remove {
            removed += self.remove(name, &listed[name])?;
        }
        for (key, bytes) in &patches {
            self.log.backend.delete(key)?;
            removed += bytes;
        }
        for (name, dead) in &dead {
            removed += self.shrink(name, &listed[name], dead)?;
        }
        for name in &plan.inspect {
            if !dead.contains_key(name) && listed[name].len() > 1 {
                removed += self.shrink(name, &listed[name], &BTreeSet::new())?;
            }
        }
        Ok(removed)
    }

    /// Looks again where what was seen does not fit together: a session may have committed, or
    /// another sweep removed something, while this one was looking. What never fits is an error.
    fn look_until_it_fits(&self) -> Result<Look> {
        for _ in 1..LOOKS_MAX {
            match self.look() {
                Err(Error::Implausible { .. } | Error::Missing { .. }) => {}
                seen => return seen,
            }
        }
        self.look()
    }

    fn look(&self) -> Result<Look> {
        let listed = list_packs(self.packs, self.log)?;
        let history = self.log.read_all_names()?.sound()?;
        let lineage = history.lineage(history.live_or_pinned())?;
        let mut plan = plan(&history, &lineage, &listed)?;
        if !self.log.keys.opens_data() {
            // Death lists lie in packs that a maintenance key does not open: what only they tell
            // to be dead waits for a sweep with the master key.
            plan.inspect.clear();
        }
        let dead = self.dead_slots(&history, &lineage, &plan)?;
        let patches = patches::to_remove(self.log, &history, &lineage, (&listed, &plan))?;
        Ok(Look { listed, plan, dead, patches })
    }

    /// The dead slots of the packs to inspect, by pack.
    fn dead_slots(
        &self,
        history: &History,
        lineage: &Lineage,
        plan: &Plan,
    ) -> Result<BTreeMap<PackName, BTreeSet<u32>>> {
        let mut dead: BTreeMap<PackName, BTreeSet<u32>> = BTreeMap::new();
        let mut scratch = Scratch::new()?;
        for (death, list) in lists_to_read(history, lineage, &plan.inspect) {
            let deaths = match self.death_list(death, &list, &mut scratch) {
                Ok(deaths) => deaths,
                // Whoever removed it may have removed more.
                Err(error @ Error::Missing { .. }) => return Err(error),
                // What it would have set free stays; nothing else has to stay for that (P5).
                Err(error) if error.is_damage() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(chain = %self.log.chain, seq = death, error, "unreadable deaths");
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (kind, slot) in deaths.dead {
                let name = (kind, slot.pack);
                if plan.inspect.contains(&name) && !is_needed(lineage, slot.birth, death) {
                    dead.entry(name).or_default().insert(slot.slot);
                }
            }
        }
        // Packs that are kept for the sake of their death lists only.
        for name in &plan.inspect {
            let Some(seq) = author(history, &name.1) else { continue };
            if lineage.needs_current(seq) {
                continue;
            }
            let Some(committed) = history.committed(seq) else { continue };
            let lists: BTreeSet<u32> = committed
                .commit
                .deaths
                .iter()
                .filter(|list| list.pack == name.1)
                .map(|list| list.slot)
                .collect();
            let index = self.packs.index(name.0, name.1)?;
            let others = index.slots().iter().map(|entry| entry.head.slot);
            dead.insert(*name, others.filter(|slot| !lists.contains(slot)).collect());
        }
        Ok(dead)
    }

    fn death_list(&self, death: u64, list: &SlotRef, scratch: &mut Scratch) -> Result<Deaths> {
        self.packs.read_slot(PackKind::Meta, list, scratch)?;
        Deaths::decode(&scratch.plain).map_err(|e| {
            Error::damaged(place::outcome(&self.log.chain, death), format!("deaths: {}", e.0))
        })
    }

    /// Removes all generations of a pack; returns their bytes.
    pub(super) fn remove(
        &self,
        (kind, id): &PackName,
        generations: &BTreeMap<u32, u64>,
    ) -> Result<u64> {
        for generation in generations.keys() {
            let key = place::pack(&self.packs.pack(*kind, *id), *generation);
            self.log.backend.delete(&key)?;
        }
        Ok(generations.values().sum())
    }

    /// Brings a pack down to one generation without (many) dead slots; returns the bytes saved.
    ///
    /// One that cannot be read stays as it is, for a repair, and the others are dealt with (P5).
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
        (kind, id): &PackName,
        generations: &BTreeMap<u32, u64>,
        dead: &BTreeSet<u32>,
    ) -> Result<u64> {
        let Some((newest, size)) = generations.last_key_value() else { return Ok(0) };
        let pack = self.packs.pack(*kind, *id);
        let Some(index) = PackIndex::read(self.packs.backend(), &pack, *newest, self.packs.keys())?
        else {
            return Ok(0);
        };
        let survivors = Survivors::of(&index, dead);
        let older: BTreeMap<u32, u64> =
            generations.range(..newest).map(|(generation, size)| (*generation, *size)).collect();
        if !older.is_empty() && !self.has_all(&index, &older, dead)? {
            tracing::error!(pack = %index.key(), "a rewritten pack lacks slots; the older one stays");
            return Ok(0);
        }
        let mut saved = self.remove(&(*kind, *id), &older)?;
        if survivors.slots.is_empty() {
            saved += self.remove(&(*kind, *id), &BTreeMap::from([(*newest, *size)]))?;
        } else if survivors.is_worth_it(self.compact_below_percent) {
            if planted::has(Bug::RemovedBeforeRewritten) {
                self.remove(&(*kind, *id), &BTreeMap::from([(*newest, *size)]))?;
            }
            match rewrite(self.packs, self.log.random.as_ref(), &index, &survivors) {
                Ok(Some(new_size)) => {
                    let old = BTreeMap::from([(*newest, *size)]);
                    saved += self.remove(&(*kind, *id), &old)?.saturating_sub(new_size);
                }
                Ok(None) => {}
                // On a full disk removing must go on (P19); another sweep will rewrite it.
                Err(Error::Backend(BackendError::NoSpace { .. })) => {
                    tracing::warn!(pack = %index.key(), "no space to rewrite a pack");
                }
                Err(error) if error.is_damage() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(pack = %index.key(), error, "a damaged pack is not rewritten");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(saved)
    }

    /// Whether the newest generation has every slot of the older ones that is not dead.
    fn has_all(
        &self,
        newest: &PackIndex,
        older: &BTreeMap<u32, u64>,
        dead: &BTreeSet<u32>,
    ) -> Result<bool> {
        for generation in older.keys() {
            let (backend, keys) = (self.packs.backend(), self.packs.keys());
            let Some(index) = PackIndex::read(backend, newest.pack(), *generation, keys)? else {
                continue;
            };
            let lacks = index
                .slots()
                .iter()
                .map(|entry| entry.head.slot)
                .any(|slot| newest.slot(slot).is_none() && !dead.contains(&slot));
            if lacks {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// All packs of a chain's domain.
pub(super) fn list_packs(packs: &Packs, log: &ChainLog) -> Result<Listed> {
    let mut listed = Listed::new();
    let domain = log.chain.domain();
    for kind in [PackKind::Data, PackKind::Meta] {
        for entry in packs.backend().list_all(&place::packs(&domain, kind))? {
            if let Some(Place::Pack(pack, generation)) = Place::parse(&entry.key) {
                listed
                    .entry((pack.kind, pack.id))
                    .or_default()
                    .insert(generation, entry.size_bytes);
            }
        }
    }
    Ok(listed)
}

/// Removes the packs of an aborted session.
pub(crate) fn remove_session(packs: &Packs, log: &ChainLog, nonce: SessionNonce) -> Result<()> {
    for ((kind, id), generations) in list_packs(packs, log)? {
        if id.session() == nonce {
            for generation in generations.keys() {
                packs.backend().delete(&place::pack(&packs.pack(kind, id), *generation))?;
            }
        }
    }
    Ok(())
}
