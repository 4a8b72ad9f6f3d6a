//! How long stored bytes are needed: births, deaths, and what a deletion frees.
//!
//! A slot is *born* in the version that wrote it and *dies* in the version whose map no longer
//! points to it. It is needed as long as some live version `v` has `birth <= v < death`. All live
//! versions lie on one *lineage* (the head, its parent, and so on), because every version is built
//! on the latest live one; what was born beside the lineage is dead, and deaths recorded beside
//! it are void.
//!
//! Every version records its births as one sum and its deaths as one sum per birth, so what any
//! deletion frees is known from these few numbers alone, before and without reading a map.
//!
//! Everything here is pure. Not here: reading the records (`log.rs`), removing (`delete/`).

use std::collections::{BTreeMap, BTreeSet};

/// What one version did to the bytes of its chain.
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Bytes this version stored and its map points to.
    pub(crate) born_bytes: u64,
    /// Bytes of its death lists.
    pub(crate) list_bytes: u64,
    /// Bytes its map stopped pointing to, by the version that had stored them.
    pub(crate) died_bytes: BTreeMap<u64, u64>,
}

/// The lineage of the head and the versions on it that must stay readable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// Every version from the oldest known ancestor to the head.
    members: BTreeSet<u64>,
    /// Those of them that are live or pinned by an open session.
    live: BTreeSet<u64>,
}

impl Lineage {
    /// The lineage whose head is the last of `live`, or the first live version that is not on
    /// it, which no history can produce.
    pub(crate) fn of(
        parents: &BTreeMap<u64, Option<u64>>,
        live: BTreeSet<u64>,
    ) -> Result<Self, u64> {
        let mut members = BTreeSet::new();
        let mut next = live.last().copied();
        while let Some(seq) = next {
            // A parent has a smaller number; anything else would be a circle.
            let Some(parent) = parents.get(&seq) else { return Err(seq) };
            if parent.is_some_and(|parent| parent >= seq) {
                return Err(seq);
            }
            members.insert(seq);
            next = *parent;
        }
        match live.iter().find(|seq| !members.contains(seq)) {
            Some(stray) => Err(*stray),
            None => Ok(Self { members, live }),
        }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = u64> + '_ {
        self.members.iter().copied()
    }

    pub(crate) fn has(&self, seq: u64) -> bool {
        self.members.contains(&seq)
    }

    /// Whether what was born in `birth` and has not died is needed.
    pub(crate) fn needs_current(&self, birth: u64) -> bool {
        self.has(birth) && self.live.range(birth..).next().is_some()
    }

    /// Whether what was born in `birth` and died in `death` is needed. `death` must be a member.
    pub(crate) fn needs(&self, birth: u64, death: u64) -> bool {
        self.has(birth) && birth < death && self.live.range(birth..death).next().is_some()
    }

    /// Calls `each` with birth, death (none: not dead) and bytes of everything that the lineage's
    /// versions have stored, in time that grows with what is reported only.
    pub(crate) fn for_each_cell(
        &self,
        accounts: &BTreeMap<u64, Account>,
        mut each: impl FnMut(u64, Option<u64>, u64),
    ) {
        let mut current: BTreeMap<u64, u64> = BTreeMap::new();
        for (seq, account) in accounts.iter().filter(|(seq, _)| self.has(**seq)) {
            for (birth, died) in &account.died_bytes {
                // What was born beside the lineage is dead anyway.
                let Some(left) = current.get_mut(birth) else { continue };
                *left = left.saturating_sub(*died);
                each(*birth, Some(*seq), *died);
            }
            current.insert(*seq, account.born_bytes);
            // The lists say which slots of a pack are dead until the pack itself is gone.
            each(*seq, None, account.list_bytes);
        }
        for (birth, left) in current {
            each(birth, None, left);
        }
    }

    /// The bytes that must stay stored.
    pub(crate) fn needed_bytes(&self, accounts: &BTreeMap<u64, Account>) -> u64 {
        let mut needed = 0_u64;
        self.for_each_cell(accounts, |birth, death, bytes| {
            let is_needed = match death {
                Some(death) => self.needs(birth, death),
                None => self.needs_current(birth),
            };
            needed += if is_needed { bytes } else { 0 };
        });
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parents(pairs: &[(u64, u64)]) -> BTreeMap<u64, Option<u64>> {
        pairs.iter().map(|&(seq, parent)| (seq, (parent > 0).then_some(parent))).collect()
    }

    fn account(born_bytes: u64, died: &[(u64, u64)]) -> Account {
        Account { born_bytes, list_bytes: 0, died_bytes: died.iter().copied().collect() }
    }

    #[test]
    fn what_a_deletion_frees_follows_from_the_sums_alone() {
        // 1 writes 100; 2 replaces 30 of them by 40; 3 replaces 10 of the first and 5 of the second.
        let straight = parents(&[(1, 0), (2, 1), (3, 2)]);
        let accounts = BTreeMap::from([
            (1, account(100, &[])),
            (2, account(40, &[(1, 30)])),
            (3, account(20, &[(1, 10), (2, 5)])),
        ]);
        let cases: [(&str, &[u64], u64); 7] = [
            ("all live", &[1, 2, 3], 160),
            ("the oldest deleted", &[2, 3], 130),
            ("the middle deleted: only what both was born and died beside others", &[1, 3], 155),
            ("the newest deleted: its deaths are void", &[1, 2], 140),
            ("only the newest", &[3], 60 + 35 + 20),
            ("only the oldest", &[1], 100),
            ("nothing", &[], 0),
        ];
        for (name, live, expected) in cases {
            let lineage = Lineage::of(&straight, live.iter().copied().collect()).unwrap();
            assert_eq!(lineage.needed_bytes(&accounts), expected, "{name}");
        }
    }

    #[test]
    fn a_death_list_is_needed_while_anything_newer_lives() {
        let straight = parents(&[(1, 0), (2, 1), (3, 2)]);
        let lists = |list_bytes| Account { list_bytes, ..Account::default() };
        let accounts = BTreeMap::from([(1, lists(0)), (2, lists(8)), (3, lists(9))]);
        for (live, expected) in [(&[1, 2][..], 8), (&[3][..], 17), (&[1][..], 0), (&[][..], 0)] {
            let lineage = Lineage::of(&straight, live.iter().copied().collect()).unwrap();
            assert_eq!(lineage.needed_bytes(&accounts), expected, "{live:?}");
        }
    }

    #[test]
    fn what_was_born_beside_the_lineage_is_dead_and_its_deaths_are_void() {
        // 3 was deleted and 4 was built on 2.
        let branched = parents(&[(1, 0), (2, 1), (3, 2), (4, 2)]);
        let accounts = BTreeMap::from([
            (1, account(100, &[])),
            (2, account(10, &[(1, 10)])),
            (3, account(50, &[(1, 60), (2, 10)])),
            (4, account(7, &[(1, 5)])),
        ]);
        let lineage = Lineage::of(&branched, BTreeSet::from([2, 4])).unwrap();
        assert!(!lineage.needs_current(3) && !lineage.has(3));
        assert_eq!(lineage.needed_bytes(&accounts), 85 + 5 + 10 + 7);
    }

    #[test]
    fn a_history_that_cannot_be_is_refused() {
        let branched = parents(&[(1, 0), (2, 1), (3, 1)]);
        assert_eq!(Lineage::of(&branched, BTreeSet::from([2, 3])), Err(2));
        assert_eq!(Lineage::of(&parents(&[(2, 2)]), BTreeSet::from([2])), Err(2), "a circle");
        assert_eq!(
            Lineage::of(&parents(&[(2, 1)]), BTreeSet::from([2])),
            Err(1),
            "a missing parent"
        );
    }
}
