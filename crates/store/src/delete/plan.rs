//! Which packs a sweep removes, and which it looks at more closely. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::chain::{History, Lineage, Verdict};
use crate::error::{Error, Result};
use crate::format::id::{PackId, PackKind, SessionNonce, SlotRef};

/// A pack's name within its domain.
pub(crate) type PackName = (PackKind, PackId);

/// A pack as the listing shows it: its generations with the sizes of their objects.
pub(crate) type Listed = BTreeMap<PackName, BTreeMap<u32, u64>>;

/// What to do, before any death list was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Nobody needs any slot of these.
    pub(crate) remove: BTreeSet<PackName>,
    /// Packs of which some slots are needed; deaths decide which.
    pub(crate) inspect: BTreeSet<PackName>,
}

/// Sorts the packs by what the log says about the sessions that wrote them.
///
/// # Errors
/// [`Error::Implausible`] if log and listing cannot both be true.
pub(crate) fn plan(history: &History, lineage: &Lineage, listed: &Listed) -> Result<Plan> {
    check_presence(history, listed)?;
    let authors: HashMap<SessionNonce, u64> =
        history.sessions.iter().map(|(seq, session)| (session.claim.nonce, *seq)).collect();
    let mut plan = Plan::default();
    for name in listed.keys() {
        let Some(seq) = authors.get(&name.1.session()) else {
            // A claim is put before the first pack and is never removed: somebody hides it.
            let what = format!("pack {} belongs to no session of the chain", name.1);
            return Err(Error::Implausible { what });
        };
        match &history.sessions[seq].verdict {
            Verdict::Open => {}
            Verdict::Aborted => drop(plan.remove.insert(*name)),
            Verdict::Committed(_) if lineage.needs_current(*seq) => {
                plan.inspect.insert(*name);
            }
            // Either beside the lineage, or everything later is deleted too. Death lists of
            // members are kept as long as anything lives.
            Verdict::Committed(committed) => {
                let has_lists = name.0 == PackKind::Meta
                    && lineage.has(*seq)
                    && committed.commit.deaths.iter().any(|list| list.pack == name.1);
                let to = if has_lists { &mut plan.inspect } else { &mut plan.remove };
                to.insert(*name);
            }
        }
    }
    Ok(plan)
}

/// Every pack that a live version certainly needs is there.
fn check_presence(history: &History, listed: &Listed) -> Result<()> {
    for seq in history.live_or_pinned() {
        let Some(committed) = history.committed(seq) else { continue };
        let commit = &committed.commit;
        let root = commit.root.node.map(|node| node.slot.pack);
        for pack in &commit.packs {
            // A pack that holds death lists may hold nothing else.
            let is_sure = pack.kind == PackKind::Data
                || root == Some(pack.id)
                || commit.deaths.iter().all(|list| list.pack != pack.id);
            if is_sure && !listed.contains_key(&(pack.kind, pack.id)) {
                return Err(Error::Implausible {
                    what: format!("version {seq} is live but its pack {} is not listed", pack.id),
                });
            }
        }
    }
    Ok(())
}

/// The death lists that tell which slots of the inspected packs are dead.
pub(crate) fn lists_to_read(
    history: &History,
    lineage: &Lineage,
    inspect: &BTreeSet<PackName>,
) -> Vec<(u64, SlotRef)> {
    let births: BTreeSet<u64> = inspect.iter().filter_map(|(_, id)| author(history, id)).collect();
    let mut lists = Vec::new();
    for death in lineage.members() {
        let Some(committed) = history.committed(death) else { continue };
        let tells = committed
            .commit
            .death_totals
            .iter()
            .any(|(birth, _)| births.contains(birth) && !lineage.needs(*birth, death));
        if tells {
            lists.extend(committed.commit.deaths.iter().map(|list| (death, *list)));
        }
    }
    lists
}

/// Which version wrote a pack.
pub(crate) fn author(history: &History, id: &PackId) -> Option<u64> {
    let nonce = id.session();
    history.sessions.iter().find(|(_, s)| s.claim.nonce == nonce).map(|(seq, _)| *seq)
}
