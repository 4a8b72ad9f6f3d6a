//! Patches of packs that nobody needs any more.
//!
//! A patch goes with its pack. One whose pack is not listed stays as long as anything that the
//! same version wrote may be needed: it may be all that is left of the pack.

use std::collections::BTreeSet;

use super::plan::{Listed, PackName, Plan, has_lists};
use super::shared::{Books, Shares};
use crate::backend::{BackendExt, Key};
use crate::chain::{ChainLog, Lineage, Verdict};
use crate::error::Result;
use crate::format::id::PackKind;
use crate::format::place::{self, Place};

/// The patches of a domain's packs.
#[derive(Debug, Default)]
pub(super) struct Patches {
    /// Those that go, with their packs and sizes.
    pub(super) gone: Vec<(PackName, Key, u64)>,
    /// The packs of those that stay.
    pub(super) kept: BTreeSet<PackName>,
}

impl Patches {
    /// All that are listed.
    pub(super) fn list(
        log: &ChainLog,
        (books, lineages): (&Books, &[Lineage]),
        (listed, plan, shares): (&Listed, &Plan, &Shares),
    ) -> Result<Self> {
        let mut patches = Self::default();
        for kind in [PackKind::Data, PackKind::Meta] {
            let prefix = place::all_patches(&log.chain.domain(), kind);
            for entry in log.backend.list_all(&prefix)? {
                let Some(Place::Patch(pack, _)) = Place::parse(&entry.key) else { continue };
                let name = (kind, pack.id);
                let is_lent = shares.frozen.contains(&pack.id)
                    || shares.ledger.of_pack(pack.id).any(|(_, slot)| slot.is_needed(lineages));
                let is_gone = plan.remove.contains(&name)
                    || !listed.contains_key(&name) && !is_lent && is_idle(books, lineages, &name);
                if is_gone {
                    patches.gone.push((name, entry.key, entry.size_bytes));
                } else {
                    patches.kept.insert(name);
                }
            }
        }
        Ok(patches)
    }
}

fn is_idle(books: &Books, lineages: &[Lineage], name: &PackName) -> bool {
    let Some((chain, seq)) = books.author(&name.1) else { return false };
    let lineage = &lineages[chain];
    match books.verdict((chain, seq)) {
        Some(Verdict::Open) | None => false,
        Some(Verdict::Aborted) => true,
        Some(Verdict::Committed(committed)) => {
            let has_lists = lineage.has(seq) && has_lists(&committed.commit, name);
            !(lineage.needs_current(seq) || has_lists)
        }
    }
}
