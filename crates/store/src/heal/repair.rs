//! Repairing from the repository itself: what is lost here may be there a second time.
//!
//! The plan is a value: which block of which damaged slot is stored again from where. Applying it
//! writes patches and nothing else; nothing is overwritten or removed, so it may be interrupted
//! anywhere and repeated, and undoing it removes exactly the patches it wrote (P5, I14).
//!
//! What cannot be rebuilt from the repository: blocks that are stored once and damaged there (the
//! next backup of the same disk may have them), packs whose key or layout is lost (nobody knows what
//! was in them), and records: a lost claim or outcome cannot be told from a forged one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::nodes::{Rebuilder, Rebuilt, lost_lists, lost_nodes};
use super::patches::Patches;
use super::rewrite::{Marker, Rewrite};
use super::spot::Spot;
use super::wanted::{Wanted, reference};
use crate::backend::{BackendExt, Key};
use crate::check::Problem;
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{DomainId, PackKind, PackRef};
use crate::format::pack::{PackIndex, Patch};
use crate::format::place::{self, Place};
use crate::job::Job;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};
use crate::repository::Repository;
use crate::version::CheckDepth;

/// What the writer of a repair's patches is called: this, and the repair's name.
const BY: &str = "repair ";

/// One block that can be stored again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Step {
    domain: DomainId,
    /// The damaged slot, which of its blocks, and how many it has.
    to: (Spot, u32, u8, u8),
    /// A sound slot, and which of its blocks.
    from: (PackRef, u32, u8),
}

/// What a repair would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairPlan {
    steps: Vec<Step>,
    rewrites: Vec<Rewrite>,
    /// Map nodes and death lists, with their content.
    nodes: Vec<(DomainId, Rebuilt)>,
    /// What is wrong now.
    pub problems: Vec<Problem>,
}

impl RepairPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.rewrites.is_empty() && self.nodes.is_empty()
    }

    /// How many blocks or map nodes would be stored again.
    pub fn blocks(&self) -> u64 {
        (self.steps.len() + self.nodes.len()) as u64
    }

    /// How many packs that are damaged around their slots would get a new generation.
    pub fn packs(&self) -> u64 {
        self.rewrites.len() as u64
    }

    /// The damaged slots and packs that would be healed, at least in part.
    pub fn spots(&self) -> BTreeSet<Spot> {
        let rewrites = self.rewrites.iter().map(Rewrite::spot);
        let node = |(_, node): &(DomainId, Rebuilt)| {
            let (kind, pack, slot) = (PackKind::Meta, node.pack, Some(node.slot));
            Spot { kind, pack, slot }
        };
        let nodes = self.nodes.iter().map(node);
        self.steps.iter().map(|step| step.to.0).chain(rewrites).chain(nodes).collect()
    }
}

/// What a repair, or its undoing, did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Repaired {
    /// Blocks and map nodes that are there again.
    pub blocks: u64,
    /// Packs whose sound slots lie in a new generation.
    pub packs: u64,
    /// Objects that were written or, by an undo, removed.
    pub objects: u64,
}

/// The objects of a repair that can be undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastRepair {
    /// As given to [`Repository::repair`].
    pub name: String,
    /// The keys of its objects.
    pub objects: Vec<String>,
}

impl fmt::Display for PastRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} objects", self.name, self.objects.len())
    }
}

impl Repository {
    /// Checks every byte, and looks for a second copy of everything that is lost.
    pub fn plan_repair(&self, job: &Job) -> Result<RepairPlan> {
        let report = self.check(CheckDepth::ReadData, job)?;
        let mut spots: BTreeMap<DomainId, Vec<Spot>> = BTreeMap::new();
        for problem in &report.problems {
            if let (Some(domain), Some(spot)) = (problem.domain, problem.spot) {
                spots.entry(domain).or_default().push(spot);
            }
        }
        let mut steps = Vec::new();
        for (domain, spots) in spots {
            self.plan_domain(domain, &spots, &mut steps)?;
        }
        let rewrites = self.plan_rewrites(&report.problems)?;
        let mut nodes = self.plan_nodes(&report.problems)?;
        // What comes back with its pack needs no patch.
        nodes.retain(|(domain, node)| {
            let (domain, kind, id) = (*domain, PackKind::Meta, node.pack);
            rewrites.iter().all(|rewrite| rewrite.pack != PackRef { domain, kind, id })
        });
        Ok(RepairPlan { steps, rewrites, nodes, problems: report.problems })
    }

    /// The lost nodes and lists that can be told from what is around them, in damaged domains.
    fn plan_nodes(&self, problems: &[Problem]) -> Result<Vec<(DomainId, Rebuilt)>> {
        let damaged: BTreeSet<DomainId> = problems.iter().filter_map(|one| one.domain).collect();
        let mut nodes = Vec::new();
        for chain in self.chains()?.into_iter().filter(|it| damaged.contains(&it.domain())) {
            let log = self.log(&chain);
            let read =
                log.and_then(|log| log.map(|log| Ok((log.read()?.sound()?, log))).transpose());
            let (history, log) = match read {
                Ok(Some(read)) => read,
                Err(error) if error.is_no_verdict() => return Err(error),
                // A chain whose keys or log are damaged has no maps that could be relied on; the check
                // has named it.
                Ok(None) | Err(_) => continue,
            };
            let domain = chain.domain();
            let hasher = log.keys.block_hasher(&domain)?;
            let packs = self.packs(&log);
            let mut scratch = Scratch::new()?;
            let mut rebuilder = Rebuilder::new(&history, &packs, None)?;
            for node in lost_nodes(&history, &packs, &mut scratch)? {
                nodes.extend(rebuilder.rebuild(&node)?.map(|node| (domain, node)));
            }
            let lists = lost_lists(&history, &packs, (&hasher, &mut scratch))?;
            nodes.extend(lists.into_iter().map(|list| (domain, list)));
        }
        Ok(nodes)
    }

    /// Of the packs that have problems, those that can get a new generation.
    fn plan_rewrites(&self, problems: &[Problem]) -> Result<Vec<Rewrite>> {
        let pack = |problem: &Problem| match Place::parse(&Key::new(problem.object.clone()).ok()?) {
            Some(Place::Pack(pack, _)) => Some(pack),
            _ => None,
        };
        let damaged: BTreeSet<PackRef> = problems.iter().filter_map(pack).collect();
        let mut rewrites = Vec::new();
        let mut scratch = Scratch::new()?;
        for pack in damaged {
            let Some(keys) = self.readable(pack.domain.tenant)? else { continue };
            let hasher = keys.block_hasher(&pack.domain)?;
            let packs = Packs::new(Arc::clone(&self.backend), keys, pack.domain);
            rewrites.extend(Rewrite::of(&packs, &hasher, &pack, &mut scratch)?);
        }
        Ok(rewrites)
    }

    /// The keys of a tenant, unless they are lost or destroyed: then nothing of it is repaired, and the
    /// others are.
    fn readable(&self, tenant: Uuid) -> Result<Option<Arc<TenantKeys>>> {
        match self.tenant(tenant) {
            Err(error) if !error.is_no_verdict() => Ok(None),
            keys => keys,
        }
    }

    fn plan_domain(&self, domain: DomainId, spots: &[Spot], steps: &mut Vec<Step>) -> Result<()> {
        let Some(keys) = self.readable(domain.tenant)? else { return Ok(()) };
        let packs = Packs::new(Arc::clone(&self.backend), keys, domain);
        let mut scratch = Scratch::new()?;
        let wanted = Wanted::of(&packs, spots, &mut scratch)?;
        let mut left = wanted.into_places();
        for kind in [PackKind::Data, PackKind::Meta] {
            for entry in self.backend.list_all(&place::packs(&domain, kind))? {
                let Some(Place::Pack(pack, generation)) = Place::parse(&entry.key) else {
                    continue;
                };
                if left.is_empty() {
                    return Ok(());
                }
                let read = PackIndex::read(packs.backend(), &pack, generation, packs.keys());
                let index = match read {
                    Ok(Some(index)) => index,
                    Ok(None) => continue,
                    Err(error) if error.is_damage() => continue,
                    Err(error) => return Err(error),
                };
                for entry in index.slots() {
                    let known = index.ids(entry).iter().any(|id| left.contains_key(id));
                    // A slot that has what is wanted may be damaged itself.
                    let is_read = known
                        && match packs.read_slot(kind, &reference(pack.id, entry), &mut scratch) {
                            Ok(()) => true,
                            Err(error) if error.is_damage() => false,
                            Err(error) => return Err(error),
                        };
                    for (at, id) in (0_u8..).zip(index.ids(entry)).filter(|_| is_read) {
                        for (kind, pack_id, slot, to, of) in left.remove(id).into_iter().flatten() {
                            let spot = Spot { kind, pack: pack_id, slot: Some(slot) };
                            let from = (pack, entry.head.slot, at);
                            steps.push(Step { domain, to: (spot, slot, to, of), from });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Does what the plan says, under a `name` to undo it by. Doing nothing writes nothing.
    pub fn repair(&self, plan: &RepairPlan, name: &str) -> Result<Repaired> {
        self.check_writable()?;
        let mut repaired = Repaired::default();
        for rewrite in &plan.rewrites {
            let domain = rewrite.pack.domain;
            let Some(keys) = self.tenant(domain.tenant)? else { continue };
            let hasher = keys.block_hasher(&domain)?;
            let packs = Packs::new(Arc::clone(&self.backend), keys, domain);
            let with = (&hasher, self.random.as_ref());
            let objects = rewrite.carry_out(&packs, with, &format!("{BY}{name}"))?;
            repaired.packs += u64::from(objects > 0);
            repaired.objects += objects;
        }
        let domains = plan.steps.iter().map(|step| step.domain);
        let domains: BTreeSet<DomainId> =
            domains.chain(plan.nodes.iter().map(|(domain, _)| *domain)).collect();
        for domain in domains {
            let Some(keys) = self.tenant(domain.tenant)? else { continue };
            let hasher = keys.block_hasher(&domain)?;
            let packs = Packs::new(Arc::clone(&self.backend), keys, domain);
            let by = format!("{BY}{name}");
            let patches = Patches::new(&packs, &hasher, self.random.as_ref(), by);
            let mut scratch = Scratch::new()?;
            for step in plan.steps.iter().filter(|step| step.domain == domain) {
                let (pack, slot, at) = step.from;
                let index = packs.index(pack.kind, pack.id)?;
                let Some(entry) = index.slot(slot) else { continue };
                packs.read_slot(pack.kind, &reference(pack.id, entry), &mut scratch)?;
                let block = match pack.kind {
                    PackKind::Meta => Some(&scratch.plain[..]),
                    PackKind::Data => scratch.plain.chunks(BLOCK_BYTES).nth(at.into()),
                };
                let id = index.ids(entry).get(usize::from(at));
                let block = block.filter(|block| id == Some(&hasher.id(block)));
                let wrong = || Error::damaged(index.key(), "it is not what its id says");
                let (spot, slot, to, of) = step.to;
                patches.add((spot.kind, spot.pack, slot), to, of, block.ok_or_else(wrong)?)?;
            }
            for (_, node) in plan.nodes.iter().filter(|(other, _)| *other == domain) {
                patches.add((PackKind::Meta, node.pack, node.slot), 0, 1, &node.content)?;
            }
            let healed = patches.finish()?;
            repaired.blocks += healed.blocks;
            repaired.objects += healed.patches;
        }
        Ok(repaired)
    }

    /// The repairs whose objects are still there.
    pub fn past_repairs(&self) -> Result<Vec<PastRepair>> {
        Ok(self.repairs()?.0)
    }

    /// All repairs, and why the first of the patches that nobody can read cannot be read. Whose those
    /// are cannot be known, so no undo touches them.
    fn repairs(&self) -> Result<(Vec<PastRepair>, Option<Error>)> {
        let mut repairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut unreadable = None;
        for entry in self.backend.list_all("t/")? {
            let Some(Place::Patch(pack, number)) = Place::parse(&entry.key) else { continue };
            let keys = match self.tenant(pack.domain.tenant) {
                Ok(Some(keys)) => keys,
                // Of a tenant whose keys were destroyed nothing can be read, and nothing undone.
                Ok(None) | Err(Error::Shredded { .. }) => continue,
                Err(error) => return Err(error),
            };
            let patch = match Patch::read(self.backend.as_ref(), &pack, number, keys.as_ref()) {
                Ok(Some(patch)) => patch,
                Ok(None) => continue,
                Err(error) if error.is_damage() => {
                    unreadable.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let marker = Marker::parse(&patch);
            let by = marker.as_ref().map_or(patch.by(), |(_, by)| by);
            let others = planted::has(Bug::UndoRemovesOthers).then_some(by);
            let Some(name) = by.strip_prefix(BY).or(others) else { continue };
            let objects = repairs.entry(name.to_owned()).or_default();
            // The generation goes before what tells of it.
            if let Some((marker, _)) = &marker {
                let packs = Packs::new(Arc::clone(&self.backend), keys, pack.domain);
                objects.extend(marker.object(&packs, &pack)?.map(|key| key.to_string()));
            }
            objects.push(entry.key.to_string());
        }
        let past = |(name, objects)| PastRepair { name, objects };
        Ok((repairs.into_iter().map(past).collect(), unreadable))
    }

    /// Removes what the repair `name` added, and nothing else. May be repeated.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such repair; what keeps it from being known, if there may be one.
    pub fn undo_repair(&self, name: &str) -> Result<Repaired> {
        self.check_writable()?;
        let (repairs, unreadable) = self.repairs()?;
        let no_such = || {
            let names: Vec<&str> = repairs.iter().map(|past| past.name.as_str()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::Invalid { what: format!("no repair {name}; those that can be undone: {known}") }
        };
        let unknown = || unreadable.unwrap_or_else(no_such);
        let past = repairs.iter().find(|past| past.name == name).ok_or_else(unknown)?;
        let all = planted::has(Bug::UndoRemovesOthers).then_some(&repairs);
        let others = all.into_iter().flatten().flat_map(|other| &other.objects);
        let mut objects = 0;
        for object in past.objects.iter().chain(others) {
            let key = Key::new(object.clone())?;
            // It was not all there is of its pack when it was looked at; a sweep may have been there.
            if self.is_last_generation(&key)? {
                continue;
            }
            self.backend.delete(&key)?;
            objects += 1;
        }
        Ok(Repaired { objects, ..Repaired::default() })
    }

    /// Whether the object is a pack, and there is no other generation of it.
    fn is_last_generation(&self, key: &Key) -> Result<bool> {
        let Some(Place::Pack(pack, _)) = Place::parse(key) else { return Ok(false) };
        let generations = self.backend.list_all(&place::pack_generations(&pack))?;
        Ok(generations.iter().all(|entry| entry.key == *key))
    }
}
