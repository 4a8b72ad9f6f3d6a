//! What every version costs, and what deleting any set of versions would free. Pure.
//!
//! Stored bytes fall into *cells*: what was born in one version and died in one other. The versions
//! that need a cell follow each other without gaps, so a cell is an interval of kept versions and a
//! sum of bytes. Deleting a set frees the cells whose interval lies wholly in the set, whatever the
//! order; one pass over the cells answers for all versions, or for any set.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use super::lifetime::{Account, Lineage};
use crate::error::Result;
use crate::format::id::ChainRef;
use crate::version::{VersionRef, VersionSizes};

/// What the versions of one chain cost: read once, then asked as often as one likes.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Live versions, those in the trash, and deleted ones on which an open session builds; ascending.
    kept: Vec<Kept>,
    /// Needed bytes, by the first and the last position in `kept` that needs them.
    cells: BTreeMap<(usize, usize), u64>,
}

#[derive(Clone, Debug)]
struct Kept {
    sizes: VersionSizes,
    is_live: bool,
    /// An open session builds on it: deleting it frees nothing before that session ends.
    is_pinned: bool,
}

impl Usage {
    pub(crate) const fn none() -> Self {
        Self { kept: Vec::new(), cells: BTreeMap::new() }
    }

    /// What `history` says.
    pub(crate) fn of(history: &History) -> Result<Self> {
        let needed = history.needed();
        let lineage = history.lineage(needed.clone())?;
        let pinned: BTreeSet<u64> = history.open().filter_map(|(_, claim)| claim.parent).collect();
        let kept: Vec<Kept> = needed
            .iter()
            .filter_map(|seq| {
                let sizes = sizes(history, *seq)?;
                let (is_live, is_pinned) = (history.is_live(*seq), pinned.contains(seq));
                Some(Kept { sizes, is_live, is_pinned })
            })
            .collect();
        let cells = cells(&lineage, &history.accounts(), &needed);
        let mut usage = Self { kept, cells };
        usage.share_out();
        Ok(usage)
    }

    /// Fills in what is unique and what is shared, of all versions in one pass.
    fn share_out(&mut self) {
        // What begins to be, and what is no longer, needed from a position on.
        let mut begin = vec![0_u64; self.kept.len() + 1];
        let mut end = vec![0_u64; self.kept.len() + 1];
        for ((first, last), bytes) in &self.cells {
            let only = (first == last).then(|| &mut self.kept[*first]);
            if let Some(kept) = only.filter(|kept| !kept.is_pinned) {
                kept.sizes.unique_bytes += bytes;
            } else {
                begin[*first] += bytes;
                end[*last + 1] += bytes;
            }
        }
        let mut shared = 0_u64;
        for (position, kept) in self.kept.iter_mut().enumerate() {
            shared = shared + begin[position] - end[position];
            kept.sizes.shared_bytes = shared;
        }
    }

    /// What each live version costs, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = &VersionSizes> {
        self.kept.iter().filter(|kept| kept.is_live).map(|kept| &kept.sizes)
    }

    /// What one live version costs.
    pub fn version(&self, seq: u64) -> Option<&VersionSizes> {
        let at = self.kept.binary_search_by_key(&seq, |kept| kept.sizes.version.seq).ok()?;
        self.kept.get(at).filter(|kept| kept.is_live).map(|kept| &kept.sizes)
    }

    /// The stored bytes that no version would need any more if `seqs` were deleted together; exactly
    /// what [`crate::Repository::delete`] would report. Versions that are gone free nothing; what a live
    /// version and one in the trash need is freed when both are given up.
    pub fn freed_bytes(&self, seqs: &BTreeSet<u64>) -> u64 {
        // How many versions before each position stay.
        let mut stay = Vec::with_capacity(self.kept.len() + 1);
        stay.push(0_usize);
        for kept in &self.kept {
            let goes = !kept.is_pinned && seqs.contains(&kept.sizes.version.seq);
            let before = stay.last().copied().unwrap_or(0);
            stay.push(before + usize::from(!goes));
        }
        let is_freed = |first: usize, last: usize| stay[first] == stay[last + 1];
        self.cells
            .iter()
            .filter(|((first, last), _)| is_freed(*first, *last))
            .map(|(_, bytes)| bytes)
            .sum()
    }

    /// All stored bytes that any version needs.
    pub fn needed_bytes(&self) -> u64 {
        self.cells.values().sum()
    }
}

/// The needed cells as intervals of positions in `kept`.
fn cells(
    lineage: &Lineage,
    accounts: &BTreeMap<u64, Account>,
    kept: &BTreeSet<u64>,
) -> BTreeMap<(usize, usize), u64> {
    let kept: Vec<u64> = kept.iter().copied().collect();
    let mut cells = BTreeMap::new();
    lineage.for_each_cell(accounts, |birth, death, bytes| {
        let first = kept.partition_point(|seq| *seq < birth);
        let end = kept.partition_point(|seq| death.is_none_or(|death| *seq < death));
        if first < end && bytes > 0 {
            *cells.entry((first, end - 1)).or_default() += bytes;
        }
    });
    cells
}

/// What the log says of one version; unique and shared bytes come later.
fn sizes(history: &History, seq: u64) -> Option<VersionSizes> {
    let chain: ChainRef = history.chain;
    let commit = &history.committed(seq)?.commit;
    Some(VersionSizes {
        version: VersionRef { chain, seq },
        disk_bytes: commit.disk_bytes,
        used_bytes: commit.used_bytes,
        logical_bytes: commit.logical_bytes,
        is_first: commit.parent.is_none(),
        stored_bytes: commit.added_bytes,
        unique_bytes: 0,
        shared_bytes: 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::chain::Verdict;
    use crate::chain::history::{Committed, Session};
    use crate::delete::account::freed_bytes;
    use crate::format::id::{PackId, SessionNonce, SlotRef};
    use crate::format::record::{Claim, Commit, Deed, Delete, Root};

    /// What happens to a chain: a version that kills so much of what lives, or a delete record.
    #[derive(Clone, Debug)]
    enum Step {
        Version { added: u64, kills: Vec<u64>, lists: u32 },
        Delete(u64),
        Open,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let version = (0..1000_u64, vec(0..100_u64, 0..6), 0..50_u32)
            .prop_map(|(added, kills, lists)| Step::Version { added, kills, lists });
        vec(
            prop_oneof![6 => version, 2 => any::<u64>().prop_map(Step::Delete), 1 => Just(Step::Open)],
            1..40,
        )
    }

    fn history(steps: &[Step]) -> History {
        let mut history = History::empty(ChainRef::alone(Uuid::nil(), 0, Uuid::nil()));
        for step in steps {
            // Only one session is open at a time; an older one has come to nothing.
            let seq = history.next_seq();
            let is_session = !matches!(step, Step::Delete(_));
            if let Some(session) = history.sessions.get_mut(&(seq - 1))
                && matches!(session.verdict, Verdict::Open)
                && is_session
            {
                session.verdict = Verdict::Aborted;
            }
            let parent = history.head();
            let claim = Claim {
                nonce: SessionNonce([0; 12]),
                parent,
                owner: String::new(),
                node: String::new(),
                retired: None,
            };
            let verdict = match step {
                Step::Delete(choice) => {
                    let kept = history.kept();
                    let chosen = kept.iter().filter(|seq| choice >> (*seq % 64) & 1 == 1);
                    let deeds = [Deed::Delete, Deed::Trash, Deed::Restore, Deed::Purge];
                    let (seqs, by) = (chosen.copied().collect(), String::new());
                    let deed = deeds[usize::from((choice >> 62) as u8)];
                    history.deletions.apply(1, &Delete { seqs, by, deed });
                    continue;
                }
                Step::Open => Verdict::Open,
                Step::Version { added, kills, lists } => {
                    let commit = commit(&history, parent, (*added, kills, *lists));
                    let (hash, card_is_here) = ([0; 32], true);
                    Verdict::Committed(Box::new(Committed { commit, hash, card_is_here }))
                }
            };
            history.sessions.insert(seq, Session { claim, verdict });
            history.last_seq = seq;
        }
        history
    }

    /// A commit that kills a part of what its parent's map still points to.
    fn commit(
        history: &History,
        parent: Option<u64>,
        (added, kills, lists): (u64, &[u64], u32),
    ) -> Commit {
        let mut current: BTreeMap<u64, u64> = BTreeMap::new();
        if let Some(head) = parent {
            let lineage = history.lineage(BTreeSet::from([head])).unwrap();
            lineage.for_each_cell(&history.accounts(), |birth, death, bytes| {
                if death.is_none() {
                    *current.entry(birth).or_default() += bytes;
                }
            });
            for (seq, account) in history.accounts() {
                current.entry(seq).and_modify(|bytes| *bytes -= account.list_bytes);
            }
        }
        let died =
            current.iter().zip(kills).map(|((birth, left), kill)| (*birth, left * kill / 100));
        let list = SlotRef { pack: PackId([0; 16]), slot: 0, birth: 0, stored_bytes: lists };
        Commit {
            nonce: SessionNonce([0; 12]),
            parent: parent.map(|parent| (parent, [0; 32])),
            root: Root { height: 0, node: None },
            disk_bytes: 0,
            logical_bytes: 0,
            used_bytes: 0,
            added_bytes: added + u64::from(lists),
            packs: Vec::new(),
            deaths: vec![list],
            death_totals: died.collect(),
            borrowed: None,
            card: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// I5, P17: the one pass over the cells says what comparing two lineages says, for every
        /// version and any set, with branches, a trash and open sessions.
        #[test]
        fn what_if_is_the_difference_of_what_is_needed(steps in steps(), choice in any::<u64>()) {
            let history = history(&steps);
            let usage = Usage::of(&history).unwrap();
            let live = history.live();
            let accounts = history.accounts();
            let needed = |kept: BTreeSet<u64>| history.lineage(kept).unwrap().needed_bytes(&accounts);
            prop_assert_eq!(usage.needed_bytes(), needed(history.needed()));
            for seq in &live {
                let alone = BTreeSet::from([*seq]);
                let sizes = usage.version(*seq).unwrap();
                prop_assert_eq!(sizes.unique_bytes, freed_bytes(&history, &alone).unwrap());
                prop_assert_eq!(usage.freed_bytes(&alone), sizes.unique_bytes);
                // A version needs what would be needed if it were alone, and the lists before it.
                prop_assert_eq!(sizes.unique_bytes + sizes.shared_bytes, needed(alone));
            }
            let kept = history.kept();
            let chosen = kept.iter().copied().filter(|seq| choice >> (seq % 64) & 1 == 1).collect();
            prop_assert_eq!(usage.freed_bytes(&chosen), freed_bytes(&history, &chosen).unwrap());
            prop_assert_eq!(usage.versions().count(), live.len());
        }
    }
}
