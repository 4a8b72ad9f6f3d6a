//! Patches of packs that nobody needs any more.
//!
//! A patch goes with its pack. One whose pack is not listed stays as long as anything that the
//! same version wrote may be needed: it may be all that is left of the pack.

use std::collections::BTreeSet;

use super::plan::{Listed, PackName, Plan, author};
use crate::backend::{BackendExt, Key};
use crate::chain::{ChainLog, History, Lineage, Verdict};
use crate::error::Result;
use crate::format::id::PackKind;
use crate::format::place::{self, Place};

/// The patches of a chain's packs.
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
        history: &History,
        lineage: &Lineage,
        (listed, plan): (&Listed, &Plan),
    ) -> Result<Self> {
        let mut patches = Self::default();
        for kind in [PackKind::Data, PackKind::Meta] {
            let prefix = place::all_patches(&log.chain.domain(), kind);
            for entry in log.backend.list_all(&prefix)? {
                let Some(Place::Patch(pack, _)) = Place::parse(&entry.key) else { continue };
                let name = (kind, pack.id);
                let is_gone = plan.remove.contains(&name)
                    || !listed.contains_key(&name) && is_idle(history, lineage, &name);
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

fn is_idle(history: &History, lineage: &Lineage, (_, id): &PackName) -> bool {
    let Some(seq) = author(history, id) else { return false };
    match &history.sessions[&seq].verdict {
        Verdict::Open => false,
        Verdict::Aborted => true,
        Verdict::Committed(committed) => {
            let has_lists = committed.commit.deaths.iter().any(|list| list.pack == *id);
            !(lineage.needs_current(seq) || has_lists && lineage.has(seq))
        }
    }
}
