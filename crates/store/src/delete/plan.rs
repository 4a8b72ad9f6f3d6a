//! Which packs a sweep removes, and which it looks at more closely. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::shared::Books;
use crate::chain::{Lineage, Verdict};
use crate::error::{Error, Result};
use crate::format::id::{PackId, PackKind};
use crate::format::record::Commit;
use crate::planted::{self, Bug};

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

/// Sorts the packs by what the logs say about the sessions that wrote them, as if no chain needed
/// what another one wrote.
///
/// # Errors
/// [`Error::Implausible`] if logs and listing cannot both be true.
pub(crate) fn plan(books: &Books, lineages: &[Lineage], listed: &Listed) -> Result<Plan> {
    check_presence(books, listed)?;
    let mut plan = Plan::default();
    for name in listed.keys() {
        let Some((chain, seq)) = books.author(&name.1) else {
            // A claim is put before the first pack and is never removed: somebody hides it.
            let what = format!("pack {} belongs to no session of the domain", name.1);
            return Err(Error::Implausible { what });
        };
        let lineage = &lineages[chain];
        match books.verdict((chain, seq)) {
            Some(Verdict::Open) if planted::has(Bug::SilentSessionIsDead) => {
                plan.remove.insert(*name);
            }
            Some(Verdict::Aborted) if planted::has(Bug::AbortedKept) => {}
            Some(Verdict::Open) | None => {}
            Some(Verdict::Aborted) => drop(plan.remove.insert(*name)),
            Some(Verdict::Committed(_)) if lineage.needs_current(seq) => {
                plan.inspect.insert(*name);
            }
            // Either beside the lineage, or everything later is deleted too. The lists of
            // members are kept as long as anything lives.
            Some(Verdict::Committed(committed)) => {
                let has_lists = lineage.has(seq) && has_lists(&committed.commit, name);
                let to = if has_lists { &mut plan.inspect } else { &mut plan.remove };
                to.insert(*name);
            }
        }
    }
    Ok(plan)
}

/// Whether the version keeps lists of its own in the pack.
pub(super) fn has_lists(commit: &Commit, name: &PackName) -> bool {
    name.0 == PackKind::Meta && commit.lists().any(|list| list.pack == name.1)
}

/// Every pack that a live version certainly needs is there.
fn check_presence(books: &Books, listed: &Listed) -> Result<()> {
    for history in &books.histories {
        for seq in history.needed() {
            let Some(committed) = history.committed(seq) else { continue };
            let commit = &committed.commit;
            let root = commit.root.node.map(|node| node.slot.pack);
            let written = commit.packs.iter().map(|pack| (pack.kind, pack.id));
            // A pack that holds lists may hold nothing else.
            let sure = written.filter(|name| root == Some(name.1) || !has_lists(commit, name));
            let borrowed = commit.lenders().iter().map(|lender| (PackKind::Data, lender.pack));
            if let Some((_, pack)) = sure.chain(borrowed).find(|name| !listed.contains_key(name)) {
                let chain = history.chain;
                return Err(Error::Implausible {
                    what: format!("{chain}@{seq} is live but its pack {pack} is not listed"),
                });
            }
        }
    }
    Ok(())
}

/// Whether a slot of this birth and death is needed.
pub(crate) fn is_needed(lineage: &Lineage, birth: u64, death: u64) -> bool {
    lineage.needs(birth, death) && !planted::has(Bug::DeathsWithoutLineage)
}

/// Whether the death lists of a version tell which slots of the inspected packs are dead.
pub(crate) fn tells<'a>(
    books: &Books,
    lineages: &'a [Lineage],
    inspect: &BTreeSet<PackName>,
) -> impl Fn(usize, u64, &Commit) -> bool + use<'a> {
    let births: BTreeSet<_> = inspect.iter().filter_map(|(_, id)| books.author(id)).collect();
    move |chain, death, commit| {
        commit.death_totals.iter().any(|(birth, _)| {
            births.contains(&(chain, *birth)) && !is_needed(&lineages[chain], *birth, death)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::History;
    use crate::chain::deletions::Deletions;
    use crate::chain::history::{Committed, Session};
    use crate::format::id::{ChainRef, SessionNonce};
    use crate::format::record::{Claim, Commit, PackSummary, Root};
    use uuid::Uuid;

    /// Of session `seq`, data pack number `counter`.
    fn data(seq: u8, counter: u32) -> PackName {
        (PackKind::Data, PackId::new(SessionNonce([seq; 12]), counter))
    }

    fn session(seq: u8, parent: Option<u64>, verdict: Verdict) -> (u64, Session) {
        let nonce = SessionNonce([seq; 12]);
        let claim =
            Claim { nonce, parent, owner: String::new(), node: String::new(), retired: None };
        (seq.into(), Session { claim, verdict })
    }

    /// A version that wrote data packs 0 and 1.
    fn committed(seq: u8, parent: Option<u64>) -> (u64, Session) {
        let pack = |counter| {
            let (kind, id) = data(seq, counter);
            PackSummary { kind, id, object_bytes: 1 }
        };
        let commit = Commit {
            nonce: SessionNonce([seq; 12]),
            parent: parent.map(|parent| (parent, [0; 32])),
            root: Root { height: 0, node: None },
            disk_bytes: 0,
            logical_bytes: 0,
            used_bytes: 0,
            added_bytes: 0,
            packs: vec![pack(0), pack(1)],
            deaths: Vec::new(),
            death_totals: Vec::new(),
            borrowed: None,
            card: Vec::new(),
        };
        let committed = Committed { commit, hash: [0; 32], card_is_here: true };
        session(seq, parent, Verdict::Committed(Box::new(committed)))
    }

    fn history(sessions: Vec<(u64, Session)>, deleted: &[u64]) -> Books {
        let chain = ChainRef::alone(Uuid::nil(), 0, Uuid::nil());
        Books::of(vec![History {
            sessions: sessions.into_iter().collect(),
            last_seq: 9,
            deletions: Deletions::unfolded(deleted.to_vec(), &[]),
            ..History::empty(chain)
        }])
    }

    fn plan_of(books: &Books, listed: &[PackName]) -> Result<Plan> {
        let lineages = books.lineages()?;
        let listed = listed.iter().map(|name| (*name, BTreeMap::from([(0, 1)]))).collect();
        plan(books, &lineages, &listed)
    }

    #[test]
    fn what_happens_to_a_pack_follows_from_the_session_that_wrote_it() {
        // 1 deleted, 2 live, 3 deleted and beside the lineage, 4 aborted, 5 live, 6 open.
        let sessions = vec![
            committed(1, None),
            committed(2, Some(1)),
            committed(3, Some(2)),
            session(4, Some(2), Verdict::Aborted),
            committed(5, Some(2)),
            session(6, Some(5), Verdict::Open),
        ];
        let history = history(sessions, &[1, 3]);
        let packs: Vec<_> = (1..=6).flat_map(|seq| [data(seq, 0), data(seq, 1)]).collect();
        let plan = plan_of(&history, &packs).unwrap();
        let both = |seqs: &[u8]| -> BTreeSet<PackName> {
            seqs.iter().flat_map(|seq| [data(*seq, 0), data(*seq, 1)]).collect()
        };
        assert_eq!(plan.remove, both(&[3, 4]), "beside the lineage, aborted");
        assert_eq!(plan.inspect, both(&[1, 2, 5]), "still in use by versions 2 and 5");
    }

    #[test]
    fn a_version_on_which_an_open_session_builds_is_kept_though_deleted() {
        let sessions = || vec![committed(1, None), session(2, Some(1), Verdict::Open)];
        let listed = [data(1, 0), data(1, 1)];
        let pinned = plan_of(&history(sessions(), &[1]), &listed).unwrap();
        assert_eq!(pinned.inspect.len(), 2);
        let mut aborted = sessions();
        aborted[1].1.verdict = Verdict::Aborted;
        let free = plan_of(&history(aborted, &[1]), &listed).unwrap();
        assert_eq!(free.remove.len(), 2);
    }

    /// P10: an implausible listing stops everything.
    #[test]
    fn nothing_is_planned_when_a_pack_of_a_live_version_is_not_listed() {
        let sessions = vec![committed(1, None), committed(2, Some(1))];
        let history = history(sessions, &[]);
        let missing = plan_of(&history, &[data(1, 0), data(1, 1), data(2, 0)]);
        assert!(matches!(missing, Err(Error::Implausible { .. })), "{missing:?}");
        let empty = plan_of(&history, &[]);
        assert!(matches!(empty, Err(Error::Implausible { .. })), "{empty:?}");
    }

    /// P10: claims are never removed, so a pack without one tells that records are hidden.
    #[test]
    fn nothing_is_planned_when_a_pack_belongs_to_no_session() {
        let history = history(vec![committed(1, None)], &[]);
        let hidden = plan_of(&history, &[data(1, 0), data(1, 1), data(2, 0)]);
        assert!(matches!(hidden, Err(Error::Implausible { .. })), "{hidden:?}");
    }
}
