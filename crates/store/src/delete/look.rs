//! What a sweep sees, and what follows from it by births, deaths and borrowings: the first proof.
//!
//! Packs first, retire log next, claims last: a session that is missed here has read the retire
//! records seen here, and has written none of the packs.

use std::collections::{BTreeMap, BTreeSet};

use super::patches::Patches;
use super::plan::{Listed, PackName, Plan, is_needed, plan, tells};
use super::shared::retire::Retirement;
use super::shared::{Books, Shares};
use super::sweep::Sweep;
use crate::backend::BackendExt;
use crate::chain::{ChainLog, Lineage};
use crate::error::{Error, Result};
use crate::format::id::{PackKind, Scope};
use crate::format::place::{self, Place};
use crate::packs::Packs;

/// How often a sweep looks before it believes that something does not fit together.
const LOOKS_MAX: usize = 3;

/// What a sweep sees and concludes before it removes anything.
pub(super) struct Look {
    pub(super) listed: Listed,
    pub(super) books: Books,
    pub(super) plan: Plan,
    pub(super) dead: BTreeMap<PackName, BTreeSet<u32>>,
    /// Patches that go, and those that stay.
    pub(super) patches: Patches,
    /// Sealed bytes of dead slots whose death no deletion explains, by pack.
    pub(super) unexplained: BTreeMap<PackName, u64>,
    /// Where chains share blocks.
    pub(super) retirement: Option<Retirement>,
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

    /// As if nobody needed the slot.
    pub(super) fn give_up_slot(&mut self, name: PackName, slot: u32) {
        self.dead.entry(name).or_default().insert(slot);
    }
}

impl Sweep<'_> {
    /// Looks again where what was seen does not fit together: a session may have committed, or
    /// another sweep removed something, while this one was looking. What never fits is an error.
    pub(super) fn look_until_it_fits(&self, mut before: Option<Books>) -> Result<Look> {
        for _ in 1..LOOKS_MAX {
            match self.look(before.take()) {
                Err(Error::Implausible { .. } | Error::Missing { .. }) => {}
                seen => return seen,
            }
        }
        self.look(None)
    }

    /// `before` are books that were read a while ago.
    fn look(&self, before: Option<Books>) -> Result<Look> {
        let listed = list_packs(self.packs, self.log)?;
        let retired = match self.log.chain.scope {
            Scope::Volume => None,
            Scope::Tenant => Some(self.log.retire_log().read()?),
        };
        let books = match before {
            Some(books) => books.read_on(self.log)?,
            None => Books::read(self.log, ChainLog::read_all_names)?,
        };
        let lineages = books.lineages()?;
        let plan = plan(&books, &lineages, &listed)?;
        let retirement = retired.map(|retired| Retirement::of(retired, &books));
        let (dead, unexplained) = (BTreeMap::new(), BTreeMap::new());
        let patches = Patches::default();
        let mut look = Look { listed, books, plan, dead, patches, unexplained, retirement };
        let shares = self.read_lists(&lineages, &mut look)?;
        self.keep_lists_only(&lineages, &mut look)?;
        self.heed_borrowers(&lineages, &shares, &mut look)?;
        let seen = (&look.listed, &look.plan, &shares);
        look.patches = Patches::list(self.log, (&look.books, &lineages), seen)?;
        Ok(look)
    }

    /// What is borrowed, and the dead slots of the packs to inspect that nobody borrows.
    fn read_lists(&self, lineages: &[Lineage], look: &mut Look) -> Result<Shares> {
        let Look { books, plan, dead, unexplained, .. } = look;
        let shares = if self.log.keys.opens_data() {
            let tells = tells(books, lineages, &plan.inspect);
            books.shares(self.packs, lineages, &tells, &mut |end| {
                let name = (end.kind, end.slot.pack);
                let is_dead = !is_needed(&lineages[end.chain], end.slot.birth, end.death);
                if is_dead && plan.inspect.contains(&name) {
                    dead.entry(name).or_default().insert(end.slot.slot);
                    if !books.histories[end.chain].explains(end.slot.birth, end.death) {
                        *unexplained.entry(name).or_default() += u64::from(end.slot.stored_bytes);
                    }
                }
            })?
        } else {
            // Lists lie in packs that a maintenance key does not open: what only they tell to be
            // dead waits for a sweep with the master key.
            plan.inspect.clear();
            books.shares_unread(lineages)
        };
        let is_frozen =
            |(kind, id): &PackName| *kind == PackKind::Data && shares.frozen.contains(id);
        plan.remove.retain(|name| !is_frozen(name));
        plan.inspect.retain(|name| !is_frozen(name));
        Ok(shares)
    }

    /// Packs that are kept for the sake of a version's lists only.
    fn keep_lists_only(&self, lineages: &[Lineage], look: &mut Look) -> Result<()> {
        for name in &look.plan.inspect {
            let Some((chain, seq)) = look.books.author(&name.1) else { continue };
            if name.0 == PackKind::Data || lineages[chain].needs_current(seq) {
                continue;
            }
            let Some(commit) = look.books.commit((chain, seq)) else { continue };
            let lists: BTreeSet<u32> =
                commit.lists().filter(|list| list.pack == name.1).map(|list| list.slot).collect();
            let Some(mut slots) = self.slots(name)? else { continue };
            if !look.books.histories[chain].explains(seq, seq + 1) {
                *look.unexplained.entry(*name).or_default() += slots.values().sum::<u64>();
            }
            slots.retain(|slot, _| !lists.contains(slot));
            look.dead.insert(*name, slots.into_keys().collect());
        }
        Ok(())
    }

    /// What other places point to, or pointed to.
    fn heed_borrowers(&self, lineages: &[Lineage], shares: &Shares, look: &mut Look) -> Result<()> {
        let Look { books, plan, dead, unexplained, .. } = look;
        let is_lent = |name: &&PackName| {
            name.0 == PackKind::Data && shares.ledger.of_pack(name.1).next().is_some()
        };
        let lent: Vec<PackName> =
            plan.remove.iter().chain(&plan.inspect).filter(is_lent).copied().collect();
        for name in lent {
            let (mut needed, mut idle) = (BTreeSet::new(), BTreeSet::new());
            for (number, slot) in shares.ledger.of_pack(name.1) {
                if slot.is_needed(lineages) {
                    needed.insert(number);
                    continue;
                }
                idle.insert(number);
                if !slot.is_explained(&books.histories) {
                    *unexplained.entry(name).or_default() += slot.stored_bytes;
                }
            }
            if plan.inspect.contains(&name) {
                dead.entry(name).or_default().extend(idle);
            } else if !needed.is_empty() {
                // Its own chain gave it up.
                plan.remove.remove(&name);
                let Some(slots) = self.slots(&name)? else { continue };
                let author = books.author(&name.1);
                if author.is_some_and(|(chain, seq)| !books.histories[chain].explains(seq, seq + 1))
                {
                    *unexplained.entry(name).or_default() += slots.values().sum::<u64>();
                }
                plan.inspect.insert(name);
                let gone = slots.into_keys().filter(|slot| !needed.contains(slot));
                dead.insert(name, gone.collect());
            }
        }
        Ok(())
    }

    /// The slots a pack has, with their bytes; `None` if it cannot be read: then it stays as it is
    /// (P5).
    fn slots(&self, (kind, id): &PackName) -> Result<Option<BTreeMap<u32, u64>>> {
        match self.packs.index(*kind, *id) {
            Ok(index) => {
                let slots = index.slots().iter();
                Ok(Some(slots.map(|e| (e.head.slot, u64::from(e.stored_bytes))).collect()))
            }
            Err(error @ Error::Missing { .. }) => Err(error),
            Err(error) if error.is_damage() => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(pack = %id, error, "a damaged pack is not rewritten");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
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
