//! Which pack may hold a block: eight bytes per block, a hard cap for all of them.
//!
//! An entry is 40 bits of the block's id and the number of a pack. A table that would outgrow the
//! budget is thinned out instead: only *hooks* stay, one id in 64. A hook that is found leads to
//! its pack's table, in which the blocks that were next to it are found as well (`borrower.rs`).

use std::collections::HashSet;
use std::sync::Arc;

use super::budget::Budget;
use crate::crypto::BlockId;
use crate::format::id::PackId;

/// Entries of the smallest table.
const ENTRIES_MIN: usize = 1 << 12;
/// Numbers of packs have 24 bits; zero is no pack.
const PACKS_MAX: usize = (1 << 24) - 1;
/// About what a known pack takes besides its entries.
const PACK_BYTES: u64 = 64;
/// How many packs are tried for one block.
pub(super) const CANDIDATES_MAX: usize = 3;

/// The hint index of one domain.
#[derive(Debug)]
pub(super) struct Hint {
    budget: Arc<Budget>,
    /// Open addressing, a power of two; zero is free.
    entries: Vec<u64>,
    used: usize,
    packs: Vec<PackId>,
    known: HashSet<PackId>,
    only_hooks: bool,
    taken_bytes: u64,
}

impl Hint {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        let (entries, packs, known) = (Vec::new(), Vec::new(), HashSet::new());
        Self { budget, entries, used: 0, packs, known, only_hooks: false, taken_bytes: 0 }
    }

    pub(super) fn knows(&self, pack: &PackId) -> bool {
        self.known.contains(pack)
    }

    /// Adds the blocks of a pack; false if there is no room even for its hooks.
    pub(super) fn add(&mut self, pack: PackId, ids: &[BlockId]) -> bool {
        if self.knows(&pack) {
            return true;
        }
        if self.packs.len() >= PACKS_MAX || !self.take(PACK_BYTES) {
            return false;
        }
        self.packs.push(pack);
        self.known.insert(pack);
        let number = self.packs.len() as u64;
        for id in ids {
            if self.only_hooks && !is_hook(tag(id)) {
                continue;
            }
            if !self.has_room() && !self.grow() {
                if self.only_hooks {
                    return false;
                }
                self.thin_out();
                if !is_hook(tag(id)) {
                    continue;
                }
                // There is not even a table for hooks.
                if !self.has_room() {
                    return false;
                }
            }
            self.insert(tag(id) << 24 | number);
        }
        true
    }

    /// The packs that may hold the block.
    pub(super) fn candidates(&self, id: &BlockId) -> impl Iterator<Item = PackId> + '_ {
        let tag = tag(id);
        let mask = self.entries.len().wrapping_sub(1);
        let mut at = if self.entries.is_empty() { None } else { Some(place(tag, mask)) };
        let probe = std::iter::from_fn(move || {
            let here = at?;
            let entry = self.entries[here];
            at = (entry != 0).then_some((here + 1) & mask);
            (entry != 0).then_some(entry)
        });
        probe
            .filter(move |entry| entry >> 24 == tag)
            .filter_map(|entry| {
                self.packs.get(crate::size::to_usize(entry & PACKS_MAX as u64).wrapping_sub(1))
            })
            .copied()
            .take(CANDIDATES_MAX)
    }

    /// A quarter stays free, so that probing ends soon.
    fn has_room(&self) -> bool {
        (self.used + 1) * 4 <= self.entries.len() * 3
    }

    fn insert(&mut self, entry: u64) {
        let mask = self.entries.len() - 1;
        let mut at = place(entry >> 24, mask);
        let mut equal = 0;
        while self.entries[at] != 0 {
            // The same block in many packs: a few of them are enough.
            equal += usize::from(self.entries[at] >> 24 == entry >> 24);
            if equal >= CANDIDATES_MAX {
                return;
            }
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
        self.used += 1;
    }

    fn grow(&mut self) -> bool {
        let before = self.entries.len();
        let after = if before == 0 { ENTRIES_MIN } else { before * 2 };
        // For a moment both tables are there.
        if !self.take(table_bytes(after)) {
            return false;
        }
        self.rebuild(after, |_| true);
        self.give_back(table_bytes(before));
        true
    }

    fn thin_out(&mut self) {
        self.only_hooks = true;
        let mut kept: Vec<u64> =
            self.entries.iter().copied().filter(|e| *e != 0 && is_hook(*e >> 24)).collect();
        // In place: this is called because there is no room for a second table.
        self.entries.fill(0);
        self.used = 0;
        for entry in kept.drain(..) {
            self.insert(entry);
        }
    }

    fn rebuild(&mut self, length: usize, keep: impl Fn(u64) -> bool) {
        let old = std::mem::replace(&mut self.entries, vec![0; length]);
        self.used = 0;
        for entry in old.into_iter().filter(|entry| *entry != 0 && keep(*entry)) {
            self.insert(entry);
        }
    }

    fn take(&mut self, bytes: u64) -> bool {
        let is_there = self.budget.take(bytes);
        self.taken_bytes += if is_there { bytes } else { 0 };
        is_there
    }

    fn give_back(&mut self, bytes: u64) {
        self.budget.give_back(bytes);
        self.taken_bytes -= bytes;
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        self.budget.give_back(self.taken_bytes);
    }
}

const fn table_bytes(entries: usize) -> u64 {
    entries as u64 * 8
}

/// 40 bits of an id.
fn tag(id: &BlockId) -> u64 {
    id.0[..5].iter().fold(0, |tag, byte| tag << 8 | u64::from(*byte))
}

fn is_hook(tag: u64) -> bool {
    tag >> 34 == 0
}

fn place(tag: u64, mask: usize) -> usize {
    crate::size::to_usize(tag) & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::id::SessionNonce;

    fn id(n: u64) -> BlockId {
        BlockId(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn pack(n: u32) -> PackId {
        PackId::new(SessionNonce([7; 12]), n)
    }

    /// A million blocks in packs of a thousand.
    fn filled(cap_bytes: u64) -> (Arc<Budget>, Hint) {
        let budget = Arc::new(Budget::new(cap_bytes));
        let mut hint = Hint::new(Arc::clone(&budget));
        for n in 0..1000_u32 {
            let first = u64::from(n) * 1000;
            let ids: Vec<BlockId> = (first..first + 1000).map(id).collect();
            hint.add(pack(n), &ids);
            assert!(budget.used_bytes() <= cap_bytes, "{} at pack {n}", budget.used_bytes());
        }
        (budget, hint)
    }

    fn is_found(hint: &Hint, n: u64) -> bool {
        hint.candidates(&id(n)).any(|found| found == pack(u32::try_from(n / 1000).unwrap()))
    }

    /// I10, P24: with room enough every block is found; less room costs finds, never the cap.
    #[test]
    fn a_million_blocks_stay_within_the_cap_and_hooks_remain_when_it_is_small() {
        let (_, roomy) = filled(64 << 20);
        assert!(!roomy.only_hooks);
        assert!((0..1_000_000).step_by(997).all(|n| is_found(&roomy, n)));
        assert!((2_000_000..2_100_000).all(|n| roomy.candidates(&id(n)).next().is_none()));

        let (budget, small) = filled(1 << 20);
        assert!(small.only_hooks);
        let hooks = (0..1_000_000).filter(|n| is_hook(tag(&id(*n)))).count();
        let found = (0..1_000_000).filter(|n| is_found(&small, *n)).count();
        assert_eq!((found, small.used), (hooks, hooks), "every hook of every pack");
        drop(small);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn without_room_nothing_is_found_and_nothing_fails() {
        let budget = Arc::new(Budget::new(10));
        let mut hint = Hint::new(budget);
        assert!(!hint.add(pack(0), &[id(64), id(65)]));
        assert!(hint.candidates(&id(64)).next().is_none());
    }

    /// The budget is of all tenants together: it may be used up when the first hook comes.
    #[test]
    fn a_hook_that_finds_no_room_for_any_table_is_not_remembered() {
        let hook = (0..100_000).map(id).find(|id| is_hook(tag(id))).unwrap();
        let budget = Arc::new(Budget::new(4 * PACK_BYTES));
        let mut hint = Hint::new(budget);
        assert!(!hint.add(pack(0), &[hook]));
        assert!(!hint.add(pack(1), &[id(1), hook]));
        assert!(hint.candidates(&hook).next().is_none());
    }

    #[test]
    fn a_block_that_is_in_many_packs_takes_a_few_entries() {
        let mut hint = Hint::new(Arc::new(Budget::new(1 << 20)));
        for n in 0..100 {
            assert!(hint.add(pack(n), &[id(1)]));
        }
        assert_eq!(hint.used, CANDIDATES_MAX);
        assert_eq!(hint.candidates(&id(1)).count(), CANDIDATES_MAX);
    }
}
