//! Removing from a domain whose chains share blocks what none of them needs.
//!
//! ```text
//! look ─▶ retire what is dead and was not yet ─▶ look again ─▶ remove what was retired
//!                                                              before every open claim
//! ```
//! Nothing waits: what an unfinished session may have borrowed is left to a later sweep. A slot that
//! was borrowed in time is needed again, by the commit; it stays retired, so nobody else borrows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::books::Books;
use crate::backend::BackendExt;
use crate::chain::{ChainLog, Lineage, Verdict};
use crate::dedup::Retired;
use crate::delete::plan::{Listed, PackName, check_presence};
use crate::delete::sweep::list_packs;
use crate::delete::{KnownBelow, Sweep};
use crate::error::{Error, Result};
use crate::format::id::{PackId, PackKind};
use crate::format::place;
use crate::format::record::{Commit, Retire, RetiredSlots};
use crate::packs::Packs;
use crate::planted::{self, Bug};

/// How often a sweep looks before it believes that something does not fit together.
const LOOKS_MAX: usize = 3;

/// One sweep over one domain.
pub(crate) struct DomainSweep<'a> {
    /// Of any chain of the domain.
    pub(crate) log: &'a ChainLog,
    pub(crate) packs: &'a Arc<Packs>,
    pub(crate) compact_below_percent: u8,
    pub(crate) known: &'a KnownBelow,
}

/// What a sweep sees, and what follows from it.
struct Look {
    listed: Listed,
    retired: Retired,
    /// The last retire record every open session knows of.
    known_to_all: u64,
    /// Packs that nobody can have borrowed from, and nobody needs.
    remove: BTreeSet<PackName>,
    /// Packs of map nodes with their dead slots.
    nodes: BTreeMap<PackName, BTreeSet<u32>>,
    /// Packs of blocks with their dead slots, which must be retired before they go.
    blocks: BTreeMap<PackName, Dead>,
    /// Packs that are kept as they are.
    whole: BTreeSet<PackName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Dead {
    All,
    Some(BTreeSet<u32>),
}

impl DomainSweep<'_> {
    /// Retires, removes and compacts; returns the bytes of objects that went, less those that came.
    pub(crate) fn run(&self) -> Result<u64> {
        let mut look = self.look_until_it_fits()?;
        let claims_seen_before = look.known_to_all;
        if self.retire(&look)? {
            // Only what is seen after the records are durable tells who may have borrowed.
            look = self.look_until_it_fits()?;
            if planted::has(Bug::RetiredAfterClaims) {
                look.known_to_all = claims_seen_before;
            }
        }
        let (sweep, mut removed) = (self.remover(), 0);
        for name in &look.remove {
            removed += self.remove(&sweep, name, &look.listed[name])?;
        }
        for (name, dead) in &look.nodes {
            removed += sweep.shrink(name, &look.listed[name], dead)?;
        }
        for (name, dead) in &look.blocks {
            let generations = &look.listed[name];
            let is_over = |since: Option<u64>| since.is_some_and(|n| n <= look.known_to_all);
            match dead {
                Dead::All if is_over(look.retired.all_since(name.1)) => {
                    removed += self.remove(&sweep, name, generations)?;
                }
                Dead::All => {}
                Dead::Some(slots) => {
                    let over = slots.iter().copied();
                    let over = over.filter(|slot| is_over(look.retired.since(name.1, *slot)));
                    removed += sweep.shrink(name, generations, &over.collect())?;
                }
            }
        }
        for name in look.whole.iter().filter(|name| look.listed[*name].len() > 1) {
            removed += sweep.shrink(name, &look.listed[name], &BTreeSet::new())?;
        }
        Ok(removed)
    }

    /// Removes a pack, and the patches that healed it.
    fn remove(
        &self,
        sweep: &Sweep<'_>,
        name: &PackName,
        generations: &BTreeMap<u32, u64>,
    ) -> Result<u64> {
        let mut removed = sweep.remove(name, generations)?;
        let patches = place::patches(&self.packs.pack(name.0, name.1));
        for entry in self.log.backend.list_all(&patches)? {
            self.log.backend.delete(&entry.key)?;
            removed += entry.size_bytes;
        }
        Ok(removed)
    }

    fn remover(&self) -> Sweep<'_> {
        let (log, packs) = (self.log, self.packs);
        let (compact_below_percent, known) = (self.compact_below_percent, self.known);
        Sweep { log, packs, compact_below_percent, known }
    }

    /// Looks again where what was seen does not fit together, as [`Sweep::plan`] does.
    fn look_until_it_fits(&self) -> Result<Look> {
        for _ in 1..LOOKS_MAX {
            match self.look() {
                Err(Error::Implausible { .. } | Error::Missing { .. }) => {}
                seen => return seen,
            }
        }
        self.look()
    }

    /// Packs first, retire log next, claims last: a session that is missed here has read the
    /// records seen here, and has written none of the packs.
    fn look(&self) -> Result<Look> {
        let listed = list_packs(self.packs, self.log)?;
        let mut retired = Retired::default();
        self.log.retire_log().read_on(&mut retired)?;
        let books = Books::read(self.log, ChainLog::read_all_names)?;
        let lineages = books.lineages()?;
        for history in &books.histories {
            check_presence(history, &listed)?;
        }
        check_lenders(&books, &listed)?;
        let mut plain: BTreeMap<PackName, BTreeSet<u32>> = BTreeMap::new();
        let tells = |chain: usize, death: u64, commit: &Commit| {
            let births = commit.death_totals.iter();
            births.clone().any(|(birth, _)| !lineages[chain].needs(*birth, death))
        };
        let shares = books.shares(self.packs, &lineages, &tells, &mut |end| {
            let name = (end.kind, end.slot.pack);
            let is_dead = !lineages[end.chain].needs(end.slot.birth, end.death);
            if is_dead && listed.contains_key(&name) {
                plain.entry(name).or_default().insert(end.slot.slot);
            }
        })?;
        let known_to_all = books.known_to_all();
        let (remove, nodes, blocks, whole) = Default::default();
        let mut look = Look { listed, retired, known_to_all, remove, nodes, blocks, whole };
        let names: Vec<PackName> = look.listed.keys().copied().collect();
        for name in names {
            let Some(author) = books.author(&name.1) else {
                let what = format!("pack {} belongs to no session of the domain", name.1);
                return Err(Error::Implausible { what });
            };
            match books.verdict(author) {
                Some(Verdict::Open) | None => {}
                Some(Verdict::Aborted) => drop(look.remove.insert(name)),
                Some(Verdict::Committed(_)) if shares.frozen.contains(&name.1) => {}
                Some(Verdict::Committed(committed)) => {
                    let (chain, seq) = author;
                    let line = (&lineages[chain], seq);
                    let dead = plain.remove(&name).unwrap_or_default();
                    match name.0 {
                        PackKind::Meta => {
                            self.nodes(&mut look, name, line, &committed.commit, dead)?;
                        }
                        PackKind::Data => {
                            let shared: BTreeMap<u32, bool> = shares
                                .ledger
                                .of_pack(name.1)
                                .map(|(slot, shared)| (slot, shared.is_needed(&lineages)))
                                .collect();
                            self.blocks(&mut look, name, line, &shared, dead)?;
                        }
                    }
                }
            }
        }
        Ok(look)
    }

    /// Map nodes and lists are not shared: they are dealt with as in a chain alone.
    fn nodes(
        &self,
        look: &mut Look,
        name: PackName,
        (lineage, seq): (&Lineage, u64),
        commit: &Commit,
        dead: BTreeSet<u32>,
    ) -> Result<()> {
        let lists: BTreeSet<u32> =
            commit.lists().filter(|list| list.pack == name.1).map(|list| list.slot).collect();
        if lineage.needs_current(seq) {
            look.keep(name, dead);
        } else if lists.is_empty() || !lineage.has(seq) {
            look.remove.insert(name);
        } else if let Some(slots) = self.slots(name)? {
            look.keep(name, slots.difference(&lists).copied().collect());
        }
        Ok(())
    }

    fn blocks(
        &self,
        look: &mut Look,
        name: PackName,
        (lineage, seq): (&Lineage, u64),
        shared: &BTreeMap<u32, bool>,
        mut dead: BTreeSet<u32>,
    ) -> Result<()> {
        if lineage.needs_current(seq) {
            dead.extend(shared.iter().filter(|(_, needed)| !**needed).map(|(slot, _)| *slot));
            look.keep(name, dead);
        } else if !shared.values().any(|needed| *needed) {
            look.blocks.insert(name, Dead::All);
        } else if let Some(slots) = self.slots(name)? {
            let is_dead = |slot: &u32| !shared.get(slot).copied().unwrap_or(false);
            look.keep(name, slots.into_iter().filter(is_dead).collect());
        }
        Ok(())
    }

    /// The slots a pack has; `None` if it cannot be read: then it stays as it is (P5).
    fn slots(&self, (kind, id): PackName) -> Result<Option<BTreeSet<u32>>> {
        match self.packs.index(kind, id) {
            Ok(index) => Ok(Some(index.slots().iter().map(|entry| entry.head.slot).collect())),
            Err(error @ Error::Missing { .. }) => Err(error),
            Err(error) if error.is_damage() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(pack = %id, error, "a damaged pack is not rewritten");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Retires what is dead and was not yet; whether there was anything.
    fn retire(&self, look: &Look) -> Result<bool> {
        let mut head = look.retired.head;
        let (mut packs, mut count) = (Vec::new(), 0);
        let mut append = |packs: &mut Vec<(PackId, RetiredSlots)>| -> Result<()> {
            let record = Retire { packs: std::mem::take(packs), by: "sweep".to_owned() };
            head = self.log.retire_log().append(head, &record)?;
            Ok(())
        };
        let mut is_any = false;
        for ((_, pack), dead) in &look.blocks {
            let new = match dead {
                Dead::All if look.retired.all_since(*pack).is_some() => continue,
                Dead::All => RetiredSlots::All,
                Dead::Some(slots) => {
                    let slots = slots.iter().copied();
                    let new = slots.filter(|slot| look.retired.since(*pack, *slot).is_none());
                    RetiredSlots::Some(new.collect())
                }
            };
            let new_count = match &new {
                RetiredSlots::All => 1,
                RetiredSlots::Some(slots) if slots.is_empty() => continue,
                RetiredSlots::Some(slots) => slots.len(),
            };
            if count + new_count > Retire::SLOTS_MAX {
                append(&mut packs)?;
                count = 0;
            }
            count += new_count;
            packs.push((*pack, new));
            is_any = true;
        }
        if !packs.is_empty() {
            append(&mut packs)?;
        }
        Ok(is_any)
    }
}

impl Look {
    fn keep(&mut self, name: PackName, dead: BTreeSet<u32>) {
        if dead.is_empty() {
            self.whole.insert(name);
        } else if name.0 == PackKind::Meta {
            self.nodes.insert(name, dead);
        } else {
            self.blocks.insert(name, Dead::Some(dead));
        }
    }
}

/// Every pack from which a live version borrows is there.
fn check_lenders(books: &Books, listed: &Listed) -> Result<()> {
    for history in &books.histories {
        for seq in history.needed() {
            let Some(committed) = history.committed(seq) else { continue };
            for lender in committed.commit.lenders() {
                if !listed.contains_key(&(PackKind::Data, lender.pack)) {
                    let (chain, pack) = (history.chain, lender.pack);
                    return Err(Error::Implausible {
                        what: format!(
                            "{chain}@{seq} borrows from pack {pack}, which is not listed"
                        ),
                    });
                }
            }
        }
    }
    Ok(())
}
