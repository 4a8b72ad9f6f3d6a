//! Looking, concluding by two proofs what may go, and doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compact::Survivors;
use super::patches::Patches;
use super::plan::{Listed, PackName, Plan, author, is_needed, lists_to_read, plan};
use super::proof::{Candidates, KnownBelow, Proof};
use super::reclaim::{ChainReclaim, ReclaimAction, ReclaimReason, ReclaimStep, Unexplained};
use crate::backend::BackendExt;
use crate::chain::{ChainLog, History, Lineage, Verdict};
use crate::error::{Error, Result};
use crate::format::deaths::Deaths;
use crate::format::id::{PackKind, SessionNonce, SlotRef};
use crate::format::pack::PackIndex;
use crate::format::place::{self, Place};
use crate::job::Meter;
use crate::map::MapReader;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};

/// How often a sweep looks before it believes that something does not fit together.
const LOOKS_MAX: usize = 3;

/// What a sweep sees and concludes before it removes anything.
pub(super) struct Look {
    listed: Listed,
    history: History,
    plan: Plan,
    dead: BTreeMap<PackName, BTreeSet<u32>>,
    /// Patches that go, and those that stay.
    patches: Patches,
    /// Sealed bytes of dead slots whose death no deletion explains, by pack.
    unexplained: BTreeMap<PackName, u64>,
}

#[cfg(test)]
impl Look {
    pub(super) fn listed_packs(&self) -> impl Iterator<Item = PackName> {
        self.listed.keys().copied()
    }

    /// As if nobody needed the pack.
    pub(super) fn give_up(&mut self, name: PackName) {
        self.plan.inspect.remove(&name);
        self.dead.remove(&name);
        self.plan.remove.insert(name);
    }
}

/// One sweep over one chain.
pub(crate) struct Sweep<'a> {
    pub(crate) log: &'a ChainLog,
    pub(crate) packs: &'a Arc<Packs>,
    pub(crate) compact_below_percent: u8,
    pub(crate) known: &'a KnownBelow,
}

impl Sweep<'_> {
    /// Looks at everything that could contradict itself, and says what to do.
    pub(crate) fn plan(&self) -> Result<ChainReclaim> {
        self.conclude(self.look_until_it_fits()?)
    }

    /// By both proofs, what is to be done about what was seen.
    pub(super) fn conclude(&self, look: Look) -> Result<ChainReclaim> {
        let steps = self.steps(&look)?;
        self.proven(&look, steps)
    }

    #[cfg(test)]
    pub(super) fn look_for_tests(&self) -> Result<Look> {
        self.look_until_it_fits()
    }

    /// Does what the plan says; returns the bytes of objects that went, less those that came.
    ///
    /// That a plan is older does no harm: what was dead when it was made stays dead.
    pub(crate) fn carry_out(&self, plan: &ChainReclaim, meter: &Meter<'_>) -> Result<u64> {
        let mut removed = 0;
        for step in &plan.steps {
            meter.check_cancelled()?;
            removed += match step.action {
                ReclaimAction::Remove => self.remove(&step.name, &step.generations)?,
                ReclaimAction::RemovePatch => {
                    step.patch.iter().try_for_each(|key| self.log.backend.delete(key))?;
                    step.freed_bytes
                }
                ReclaimAction::Rewrite | ReclaimAction::RemoveOlder => {
                    self.shrink(&step.name, &step.generations, &step.dead)?
                }
            };
            meter.add(step.freed_bytes, step.rewritten_bytes);
        }
        Ok(removed)
    }

    /// What happens to each pack, by births and deaths: the first proof.
    fn steps(&self, look: &Look) -> Result<Vec<ReclaimStep>> {
        let mut steps = Vec::new();
        for name in &look.plan.remove {
            let generations = look.listed[name].clone();
            let pack = place::pack(&self.packs.pack(name.0, name.1), 0).to_string();
            steps.push(ReclaimStep {
                freed_bytes: generations.values().sum(),
                generations,
                ..whole(&look.history, *name, ReclaimAction::Remove, pack)
            });
        }
        for (name, key, freed_bytes) in &look.patches.gone {
            steps.push(ReclaimStep {
                freed_bytes: *freed_bytes,
                patch: Some(key.clone()),
                ..whole(&look.history, *name, ReclaimAction::RemovePatch, key.to_string())
            });
        }
        let nothing = BTreeSet::new();
        for name in &look.plan.inspect {
            let generations = &look.listed[name];
            let dead = look.dead.get(name).unwrap_or(&nothing);
            if !dead.is_empty() || generations.len() > 1 {
                let is_patched = look.patches.kept.contains(name);
                steps.extend(self.foresee(name, generations, (dead, is_patched))?);
            }
        }
        Ok(steps)
    }

    /// What is to be done about a pack of which some slots are dead. One that cannot be read stays
    /// as it is, for a repair, and the others are dealt with (P5).
    fn foresee(
        &self,
        name: &PackName,
        generations: &BTreeMap<u32, u64>,
        (dead, is_patched): (&BTreeSet<u32>, bool),
    ) -> Result<Option<ReclaimStep>> {
        let pack = self.packs.pack(name.0, name.1);
        let Some(newest) = generations.last_key_value().map(|(newest, _)| *newest) else {
            return Ok(None);
        };
        let index = match PackIndex::read(self.packs.backend(), &pack, newest, self.packs.keys()) {
            Ok(Some(index)) => index,
            Ok(None) => return Ok(None),
            Err(error) if error.is_damage() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(pack = %name.1, error, "a damaged pack is not rewritten");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let survivors = Survivors::of(&index, dead);
        let older_bytes: u64 = generations.range(..newest).map(|(_, size)| *size).sum();
        let all_bytes: u64 = generations.values().sum();
        // Of a slot that its pack has lost, and that is needed, the patches are all there is.
        let is_mended = is_patched && self.is_mended(&pack, dead)?;
        let (action, reason, freed_bytes, rewritten_bytes) =
            if survivors.slots.is_empty() && !is_mended {
                (ReclaimAction::Remove, ReclaimReason::DeadSlots, all_bytes, 0)
            } else if survivors.is_worth_it(self.compact_below_percent) {
                let (freed, kept) = (older_bytes + survivors.dead_bytes, survivors.live_bytes);
                (ReclaimAction::Rewrite, ReclaimReason::DeadSlots, freed, kept)
            } else if older_bytes > 0 && !(is_patched && self.is_undoable(&pack, newest)?) {
                (ReclaimAction::RemoveOlder, ReclaimReason::Superseded, older_bytes, 0)
            } else {
                return Ok(None);
            };
        // A pack that goes slot by slot goes by the way that looks at older generations too.
        let action = match action {
            ReclaimAction::Remove if generations.len() > 1 => ReclaimAction::Rewrite,
            action => action,
        };
        Ok(Some(ReclaimStep {
            pack: place::pack(&pack, newest).to_string(),
            action,
            reason,
            freed_bytes,
            rewritten_bytes,
            name: *name,
            patch: None,
            generations: generations.clone(),
            dead: dead.clone(),
        }))
    }

    /// Asks the maps of all versions that stay: the second proof.
    fn proven(&self, look: &Look, mut steps: Vec<ReclaimStep>) -> Result<ChainReclaim> {
        let candidates = candidates(&look.history, &steps);
        let mut proof = Proof::new(self.known, &candidates)?;
        // A maintenance key opens no map: what it removes has the first proof only.
        // It also hides a planted mistake of the first proof, which the tests are to see.
        let is_hidden = planted::has(Bug::DeathsWithoutLineage);
        if !steps.is_empty() && self.log.keys.opens_data() && !is_hidden {
            for seq in look.history.needed() {
                let Some(committed) = look.history.committed(seq) else { continue };
                let commit = &committed.commit;
                let map = MapReader::new(Arc::clone(self.packs), commit.root, commit.disk_bytes);
                proof.follow(&map)?;
            }
        }
        let mut rescued = Vec::new();
        for name in &proof.needed {
            tracing::error!(
                chain = %self.log.chain, pack = %name.1,
                "DEFECT: births and deaths gave up a pack that a version needs; it stays"
            );
            rescued.push(place::pack(&self.packs.pack(name.0, name.1), 0).to_string());
        }
        steps.retain(|step| !proof.needed.contains(&step.name));
        let mut unexplained = Unexplained::default();
        for step in &steps {
            let bytes = match step.reason {
                ReclaimReason::Deleted(seq) if !look.history.explains(seq, seq + 1) => {
                    step.freed_bytes
                }
                _ => look.unexplained.get(&step.name).copied().unwrap_or(0),
            };
            unexplained.bytes += bytes;
            unexplained.packs += u64::from(bytes > 0);
        }
        Ok(ChainReclaim {
            chain: self.log.chain,
            stored_bytes: look.listed.values().flat_map(BTreeMap::values).sum(),
            stored_packs: look.listed.len() as u64,
            steps,
            unexplained,
            rescued,
        })
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
        let lineage = history.lineage(history.needed())?;
        let mut plan = plan(&history, &lineage, &listed)?;
        if !self.log.keys.opens_data() {
            // Death lists lie in packs that a maintenance key does not open: what only they tell
            // to be dead waits for a sweep with the master key.
            plan.inspect.clear();
        }
        let patches = Patches::list(self.log, &history, &lineage, (&listed, &plan))?;
        let (dead, unexplained) = (BTreeMap::new(), BTreeMap::new());
        let mut look = Look { listed, history, plan, dead, patches, unexplained };
        self.find_dead_slots(&lineage, &mut look)?;
        Ok(look)
    }

    /// The dead slots of the packs to inspect, by pack.
    fn find_dead_slots(&self, lineage: &Lineage, look: &mut Look) -> Result<()> {
        let Look { history, plan, dead, unexplained, .. } = look;
        let history = &*history;
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
                    if !history.explains(slot.birth, death) {
                        *unexplained.entry(name).or_default() += u64::from(slot.stored_bytes);
                    }
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
            let index = match self.packs.index(name.0, name.1) {
                Err(error @ Error::Missing { .. }) => return Err(error),
                // What else is in it nobody knows: it stays as it is (P5).
                Err(error) if error.is_damage() => continue,
                index => index?,
            };
            let others = index.slots().iter().map(|entry| entry.head.slot);
            dead.insert(*name, others.filter(|slot| !lists.contains(slot)).collect());
            if !history.explains(seq, seq + 1) {
                *unexplained.entry(*name).or_default() +=
                    index.slots().iter().map(|entry| u64::from(entry.stored_bytes)).sum::<u64>();
            }
        }
        Ok(())
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
}

/// Something goes because its session was aborted or its version deleted.
fn whole(history: &History, name: PackName, action: ReclaimAction, pack: String) -> ReclaimStep {
    let seq = author(history, &name.1).unwrap_or_default();
    let reason = match history.sessions.get(&seq).map(|session| &session.verdict) {
        Some(Verdict::Committed(_)) => ReclaimReason::Deleted(seq),
        _ => ReclaimReason::Aborted(seq),
    };
    ReclaimStep {
        pack,
        action,
        reason,
        freed_bytes: 0,
        rewritten_bytes: 0,
        name,
        patch: None,
        generations: BTreeMap::new(),
        dead: BTreeSet::new(),
    }
}

/// What the steps take away, for the second proof.
fn candidates(history: &History, steps: &[ReclaimStep]) -> Candidates {
    let mut candidates = Candidates { slots: BTreeMap::new(), oldest_birth: u64::MAX };
    for step in steps {
        let slots = (!step.dead.is_empty()).then(|| step.dead.clone());
        let is_whole = matches!(step.action, ReclaimAction::Remove | ReclaimAction::RemovePatch);
        let takes_nothing = slots.is_none() && !is_whole;
        if !takes_nothing {
            candidates.slots.insert(step.name, slots);
            let birth = author(history, &step.name.1).unwrap_or(0);
            candidates.oldest_birth = candidates.oldest_birth.min(birth);
        }
    }
    candidates
}

/// All packs of a chain's domain.
pub(crate) fn list_packs(packs: &Packs, log: &ChainLog) -> Result<Listed> {
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
