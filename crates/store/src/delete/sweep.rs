//! Concluding by two proofs what may go of what was seen, and doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compact::Survivors;
use super::kept::KeptMaps;
use super::look::{Look, list_packs};
use super::memory::KnownMaps;
use super::plan::PackName;
use super::proof::{Candidates, Proof};
use super::reclaim::{ChainReclaim, ReclaimAction, ReclaimReason, ReclaimStep, Unexplained};
use super::shared::Books;
use super::shared::retire::{Split, When, retire};
use crate::chain::{ChainLog, Verdict};
use crate::error::{Error, Result};
use crate::format::id::{PackKind, SessionNonce};
use crate::format::pack::PackIndex;
use crate::format::place;
use crate::format::record::RetiredSlots;
use crate::job::Meter;
use crate::map::MapReader;
use crate::packs::Packs;
use crate::planted::{self, Bug};
use crate::version::Freed;

/// One sweep over one domain: a chain alone, or all that share blocks.
pub(crate) struct Sweep<'a> {
    /// Of any chain of the domain.
    pub(crate) log: &'a ChainLog,
    pub(crate) packs: &'a Arc<Packs>,
    pub(crate) compact_below_percent: u8,
    pub(crate) known: &'a KnownMaps,
    pub(crate) kept: Option<&'a KeptMaps>,
}

impl Sweep<'_> {
    /// Looks at everything that could contradict itself, and says what to do.
    pub(crate) fn plan(&self) -> Result<ChainReclaim> {
        self.conclude(&self.look_until_it_fits(None)?)
    }

    /// By both proofs, what is to be done about what was seen.
    pub(super) fn conclude(&self, look: &Look) -> Result<ChainReclaim> {
        let steps = self.steps(look)?;
        self.proven(look, steps)
    }

    #[cfg(test)]
    pub(super) fn look_for_tests(&self) -> Result<Look> {
        self.look_until_it_fits(None)
    }

    /// By the first proof only.
    #[cfg(test)]
    pub(super) fn conclude_unproven(&self, look: &Look) -> Result<ChainReclaim> {
        let steps = self.steps(look)?;
        Ok(self.summed_up(look, steps, Vec::new()))
    }

    /// Looks, concludes, and does it: of what `earlier` says only what it foresaw as well. Where
    /// blocks are shared, what goes is retired first.
    ///
    /// `books` are of a while ago; without any all is read.
    ///
    /// # Errors
    /// [`Error::AboveCeiling`] unless `above_ceiling`.
    pub(crate) fn run(
        &self,
        books: Option<Books>,
        earlier: Option<&ChainReclaim>,
        (above_ceiling, meter): (bool, &Meter<'_>),
    ) -> Result<Freed> {
        let conclude = |look: &Look| -> Result<ChainReclaim> {
            let plan = self.conclude(look)?;
            let plan = match earlier {
                Some(earlier) => plan.limited_to(earlier),
                None => plan,
            };
            if !above_ceiling {
                plan.check_ceiling()?;
            }
            Ok(plan)
        };
        let look = self.look_until_it_fits(books)?;
        let mut plan = conclude(&look)?;
        if let Some(retirement) = &look.retirement {
            let retire_log = self.log.retire_log();
            retire_log.fold(&retirement.retired);
            retire(&retire_log, retirement.retired.head, &plan.steps)?;
            if plan.steps.iter().any(ReclaimStep::goes_once_retired) {
                let claims_seen_before = retirement.known_to_all;
                let mut again = self.look_until_it_fits(Some(look.books))?;
                if planted::has(Bug::RetiredAfterClaims)
                    && let Some(retirement) = &mut again.retirement
                {
                    retirement.known_to_all = claims_seen_before;
                }
                plan = conclude(&again)?;
                // What died since the first look is not retired yet.
                plan.steps.retain(|step| !step.goes_once_retired());
            }
        }
        let removed_object_bytes = self.carry_out(&plan, meter)?;
        let rescued_packs = plan.rescued.len() as u64;
        Ok(Freed { freed_bytes: 0, removed_object_bytes, rescued_packs })
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
                ReclaimAction::Retire => 0,
                ReclaimAction::Rewrite | ReclaimAction::RemoveOlder => {
                    self.shrink(&step.name, &step.generations, &step.dead)?
                }
            };
            meter.add(step.freed_bytes, step.rewritten_bytes);
        }
        Ok(removed)
    }

    /// What happens to each pack, by births, deaths and borrowings: the first proof.
    fn steps(&self, look: &Look) -> Result<Vec<ReclaimStep>> {
        let mut steps = Vec::new();
        let mut waiting = BTreeSet::new();
        for name in &look.plan.remove {
            let step = self.removal(look, name);
            if step.action == ReclaimAction::Retire {
                waiting.insert(*name);
            }
            steps.push(step);
        }
        // A patch goes when its pack goes.
        for (name, key, freed_bytes) in
            look.patches.gone.iter().filter(|(n, ..)| !waiting.contains(n))
        {
            steps.push(ReclaimStep {
                freed_bytes: *freed_bytes,
                patch: Some(key.clone()),
                ..whole(look, *name, ReclaimAction::RemovePatch, key.to_string())
            });
        }
        let nothing = BTreeSet::new();
        for name in &look.plan.inspect {
            let generations = &look.listed[name];
            let dead = look.dead.get(name).unwrap_or(&nothing);
            if !dead.is_empty() || generations.len() > 1 {
                steps.extend(self.foresee(look, name, generations, dead)?);
            }
        }
        Ok(steps)
    }

    /// A pack of which nothing is needed.
    fn removal(&self, look: &Look, name: &PackName) -> ReclaimStep {
        let generations = look.listed[name].clone();
        let bytes = generations.values().sum();
        let pack = place::pack(&self.packs.pack(name.0, name.1), 0).to_string();
        let step = whole(look, *name, ReclaimAction::Remove, pack);
        let step = ReclaimStep { generations, ..step };
        let may_be_borrowed = name.0 == PackKind::Data
            && matches!(step.reason, ReclaimReason::Deleted(_) | ReclaimReason::DeadSlots);
        let retirement = look.retirement.as_ref().filter(|_| may_be_borrowed);
        let all = Some(RetiredSlots::All);
        match retirement.map_or(When::Now, |retirement| retirement.whole(name.1)) {
            When::Now => ReclaimStep { freed_bytes: bytes, ..step },
            When::OnceRetired => ReclaimStep { freed_bytes: bytes, retire: all, ..step },
            When::Later { is_retired } => ReclaimStep {
                action: ReclaimAction::Retire,
                waiting_bytes: bytes,
                retire: all.filter(|_| !is_retired),
                ..step
            },
        }
    }

    /// What is to be done about a pack of which some slots are dead. One that cannot be read stays
    /// as it is, for a repair, and the others are dealt with (P5).
    fn foresee(
        &self,
        look: &Look,
        name: &PackName,
        generations: &BTreeMap<u32, u64>,
        dead: &BTreeSet<u32>,
    ) -> Result<Option<ReclaimStep>> {
        let Some(newest) = generations.last_key_value().map(|(newest, _)| *newest) else {
            return Ok(None);
        };
        let pack = self.packs.pack(name.0, name.1);
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
        let blank = ReclaimStep {
            generations: generations.clone(),
            ..whole(look, *name, ReclaimAction::Rewrite, index.key().to_string())
        };
        let is_patched = look.patches.kept.contains(name);
        let step = |dead: &BTreeSet<u32>| self.shrinking(&index, &blank, (dead, is_patched));
        let Some(all) = step(dead)? else { return Ok(None) };
        let retirement = look.retirement.as_ref().filter(|_| name.0 == PackKind::Data);
        let Some(retirement) = retirement else { return Ok(Some(all)) };
        // With an older generation goes what the newest lacks, also if that one stays.
        let is_hidden = |slot: &u32| index.slot(*slot).is_none();
        let takes_slots = matches!(all.reason, ReclaimReason::DeadSlots);
        let goes = dead.iter().filter(|slot| takes_slots || is_hidden(slot)).copied().collect();
        let Split { going, later, retire } = retirement.split(name.1, &goes);
        let retire = (!retire.is_empty()).then_some(RetiredSlots::Some(retire));
        if later.is_empty() {
            return Ok(Some(ReclaimStep { retire, ..all }));
        }
        let waiting_bytes = Survivors::of(&index, &later).dead_bytes;
        let (reason, action) = (ReclaimReason::DeadSlots, ReclaimAction::Retire);
        // Nobody knows of a slot that cannot be seen whether an older generation has it.
        let is_held = generations.len() > 1 && later.iter().any(is_hidden);
        let now = if is_held { None } else { step(&going)? };
        let now = now.unwrap_or(ReclaimStep { action, reason, ..blank.clone() });
        Ok(Some(ReclaimStep { waiting_bytes, retire, ..now }))
    }

    /// What is done about a pack of which exactly `dead` are dead.
    fn shrinking(
        &self,
        index: &PackIndex,
        blank: &ReclaimStep,
        (dead, is_patched): (&BTreeSet<u32>, bool),
    ) -> Result<Option<ReclaimStep>> {
        let generations = &blank.generations;
        let survivors = Survivors::of(index, dead);
        let older = generations.range(..index.generation());
        let older_bytes: u64 = older.map(|(_, size)| *size).sum();
        let all_bytes: u64 = generations.values().sum();
        // Of a slot that its pack has lost, and that is needed, the patches are all there is.
        let is_mended = is_patched && self.is_mended(index.pack(), dead)?;
        let is_undoable =
            || Ok::<_, Error>(is_patched && self.is_undoable(index.pack(), index.generation())?);
        let (action, reason, freed_bytes, rewritten_bytes) =
            if survivors.slots.is_empty() && !is_mended {
                (ReclaimAction::Remove, ReclaimReason::DeadSlots, all_bytes, 0)
            } else if survivors.is_worth_it(self.compact_below_percent) {
                let (freed, kept) = (older_bytes + survivors.dead_bytes, survivors.live_bytes);
                (ReclaimAction::Rewrite, ReclaimReason::DeadSlots, freed, kept)
            } else if older_bytes > 0 && !is_undoable()? {
                (ReclaimAction::RemoveOlder, ReclaimReason::Superseded, older_bytes, 0)
            } else {
                return Ok(None);
            };
        // A pack that goes slot by slot goes by the way that looks at older generations too.
        let action = match action {
            ReclaimAction::Remove if generations.len() > 1 => ReclaimAction::Rewrite,
            action => action,
        };
        let (dead, blank) = (dead.clone(), blank.clone());
        Ok(Some(ReclaimStep { action, reason, freed_bytes, rewritten_bytes, dead, ..blank }))
    }

    /// Asks the maps of all versions that stay: the second proof.
    fn proven(&self, look: &Look, mut steps: Vec<ReclaimStep>) -> Result<ChainReclaim> {
        let candidates = candidates(look, &steps);
        // A maintenance key opens no map: what it removes has the first proof only.
        // It also hides a planted mistake of the first proof, which the tests are to see.
        let is_hidden = planted::has(Bug::DeathsWithoutLineage);
        let is_asked = !candidates.slots.is_empty() && self.log.keys.opens_data() && !is_hidden;
        let domain = self.log.chain.domain();
        let kept = self.kept.filter(|_| is_asked);
        let kept_of_domain = kept.and_then(|kept| kept.of(domain, &self.log.keys));
        let mut proof = Proof::new(self.known, kept_of_domain, domain, &candidates)?;
        if is_asked {
            for (chain, history) in look.books.histories.iter().enumerate() {
                for seq in history.needed() {
                    let Some(commit) = look.books.commit((chain, seq)) else { continue };
                    let packs = Arc::clone(self.packs);
                    proof.follow(chain, &MapReader::new(packs, commit.root, commit.disk_bytes))?;
                }
            }
        }
        let mut rescued = Vec::new();
        for name in &proof.needed {
            tracing::error!(
                domain = %place::domain(&self.log.chain.domain()), pack = %name.1,
                "DEFECT: the bookkeeping gave up a pack that a version needs; it stays"
            );
            rescued.push(place::pack(&self.packs.pack(name.0, name.1), 0).to_string());
        }
        steps.retain(|step| !proof.needed.contains(&step.name));
        drop(proof);
        if let Some(kept) = kept
            && look.books.histories.iter().all(|history| history.needed().is_empty())
        {
            kept.forget(&domain);
        }
        Ok(self.summed_up(look, steps, rescued))
    }

    fn summed_up(
        &self,
        look: &Look,
        steps: Vec<ReclaimStep>,
        rescued: Vec<String>,
    ) -> ChainReclaim {
        let mut unexplained = Unexplained::default();
        for step in &steps {
            let bytes = match (step.reason, look.books.author(&step.name.1)) {
                (ReclaimReason::Deleted(_), Some((chain, seq)))
                    if !look.books.histories[chain].explains(seq, seq + 1) =>
                {
                    step.freed_bytes + step.waiting_bytes
                }
                _ => look.unexplained.get(&step.name).copied().unwrap_or(0),
            };
            unexplained.bytes += bytes;
            unexplained.packs += u64::from(bytes > 0);
        }
        let first = look.books.histories.first().map(|history| history.chain);
        ChainReclaim {
            chain: first.unwrap_or(self.log.chain),
            stored_bytes: look.listed.values().flat_map(BTreeMap::values).sum(),
            stored_packs: look.listed.len() as u64,
            steps,
            unexplained,
            rescued,
        }
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
fn whole(look: &Look, name: PackName, action: ReclaimAction, pack: String) -> ReclaimStep {
    let author = look.books.author(&name.1);
    let seq = author.map_or(0, |(_, seq)| seq);
    let reason = match author.and_then(|author| look.books.verdict(author)) {
        Some(Verdict::Committed(_)) => ReclaimReason::Deleted(seq),
        _ => ReclaimReason::Aborted(seq),
    };
    let chain = look.books.histories.get(author.map_or(0, |(chain, _)| chain));
    ReclaimStep {
        chain: chain.map(|history| history.chain),
        pack,
        action,
        reason,
        freed_bytes: 0,
        rewritten_bytes: 0,
        waiting_bytes: 0,
        name,
        patch: None,
        generations: BTreeMap::new(),
        dead: BTreeSet::new(),
        retire: None,
    }
}

/// What the steps take away, for the second proof.
fn candidates(look: &Look, steps: &[ReclaimStep]) -> Candidates {
    let mut candidates = Candidates::default();
    for step in steps {
        let slots = (!step.dead.is_empty()).then(|| step.dead.clone());
        let is_whole = matches!(step.action, ReclaimAction::Remove | ReclaimAction::RemovePatch);
        if slots.is_none() && !is_whole {
            continue;
        }
        candidates.slots.insert(step.name, slots);
        let author = look.books.author(&step.name.1);
        if look.retirement.is_some() && step.name.0 == PackKind::Data {
            // Any chain may point to it, with numbers of its own.
            let all = 0..look.books.histories.len();
            candidates.oldest_births = all.map(|chain| (chain, 0)).collect();
        } else if let Some((chain, birth)) = author {
            let oldest = candidates.oldest_births.entry(chain).or_insert(birth);
            *oldest = birth.min(*oldest);
        }
    }
    candidates
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
