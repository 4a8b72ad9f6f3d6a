//! The references to slots that are borrowed, and whether anybody needs them. Pure.
//!
//! A reference began with a version of a chain and ended with a later one of that chain, or has not
//! ended. Equal ones are counted. There is no counter that somebody would have to change: all of it
//! follows from what the versions recorded.

use std::collections::BTreeMap;

use crate::chain::{History, Lineage};
use crate::format::id::{PackId, SlotRef};

/// All references to the slots that are borrowed by at least one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    slots: BTreeMap<(PackId, u32), SharedSlot>,
}

/// A slot that is, or was, borrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharedSlot {
    pub(crate) stored_bytes: u64,
    /// By chain and birth.
    references: BTreeMap<(usize, u64), Counted>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counted {
    began: u64,
    /// By the version with which they ended.
    ended: BTreeMap<u64, u64>,
}

impl Ledger {
    pub(crate) fn knows(&self, slot: &SlotRef) -> bool {
        self.slots.contains_key(&(slot.pack, slot.slot))
    }

    /// `times` references of `chain` begin with the version that is the slot's birth.
    pub(crate) fn begin(&mut self, chain: usize, slot: &SlotRef, times: u64) {
        let shared = self.slots.entry((slot.pack, slot.slot)).or_default();
        shared.stored_bytes = slot.stored_bytes.into();
        let counted = shared.references.entry((chain, slot.birth)).or_default();
        counted.began = counted.began.saturating_add(times);
    }

    /// `times` references of `chain` end with version `death`; false if nobody borrows the slot.
    pub(crate) fn end(&mut self, chain: usize, slot: &SlotRef, death: u64, times: u64) -> bool {
        let Some(shared) = self.slots.get_mut(&(slot.pack, slot.slot)) else { return false };
        let counted = shared.references.entry((chain, slot.birth)).or_default();
        *counted.ended.entry(death).or_default() += times;
        true
    }

    /// How many references of the chain that began with the slot's birth have not ended at the end
    /// of the lineage.
    pub(crate) fn current(&self, chain: usize, slot: &SlotRef, lineage: &Lineage) -> u64 {
        let shared = self.slots.get(&(slot.pack, slot.slot));
        let counted = shared.and_then(|shared| shared.references.get(&(chain, slot.birth)));
        let Some(counted) = counted.filter(|_| lineage.has(slot.birth)) else { return 0 };
        let on_line = counted.ended.iter().filter(|(death, _)| lineage.has(**death));
        counted.began.saturating_sub(on_line.map(|(_, times)| times).sum())
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (PackId, u32, &SharedSlot)> {
        self.slots.iter().map(|((pack, slot), shared)| (*pack, *slot, shared))
    }

    pub(crate) fn of_pack(&self, pack: PackId) -> impl Iterator<Item = (u32, &SharedSlot)> {
        self.slots.range((pack, 0)..=(pack, u32::MAX)).map(|((_, slot), shared)| (*slot, shared))
    }
}

impl SharedSlot {
    /// The chains that need it.
    pub(crate) fn needed_by<'a>(
        &'a self,
        lineages: &'a [Lineage],
    ) -> impl Iterator<Item = usize> + 'a {
        self.references
            .iter()
            .filter(|((chain, birth), counted)| counted.is_needed(*birth, &lineages[*chain]))
            .map(|((chain, _), _)| *chain)
    }

    pub(crate) fn is_needed(&self, lineages: &[Lineage]) -> bool {
        self.needed_by(lineages).next().is_some()
    }

    /// Whether delete records name every version that any reference ever covered.
    pub(crate) fn is_explained(&self, histories: &[History]) -> bool {
        self.references.iter().all(|((chain, birth), counted)| {
            let explains = |death| histories[*chain].explains(*birth, death);
            let ended: u64 = counted.ended.values().sum();
            counted.ended.keys().all(|death| explains(*death))
                && (ended >= counted.began || explains(u64::MAX))
        })
    }
}

impl Counted {
    /// Beside the lineage nothing began and nothing ended.
    fn is_needed(&self, birth: u64, lineage: &Lineage) -> bool {
        if !lineage.has(birth) {
            return false;
        }
        let on_line = || self.ended.iter().filter(|(death, _)| lineage.has(**death));
        let ended: u64 = on_line().map(|(_, times)| times).sum();
        on_line().any(|(death, _)| lineage.needs(birth, *death))
            || (ended < self.began && lineage.needs_current(birth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(birth: u64) -> SlotRef {
        SlotRef { pack: PackId([3; 16]), slot: 7, birth, stored_bytes: 100 }
    }

    fn lineage(live: &[u64]) -> Lineage {
        let parents = (1..=5).map(|seq| (seq, (seq > 1).then(|| seq - 1))).collect();
        Lineage::of(&parents, live.iter().copied().collect()).unwrap()
    }

    fn is_needed(ledger: &Ledger, lives: [&[u64]; 2]) -> bool {
        let lineages = lives.map(lineage);
        ledger.slots().all(|(_, _, shared)| shared.is_needed(&lineages))
    }

    /// P7, P9: what one chain deletes stays as long as another borrows it, and not longer.
    #[test]
    fn a_slot_is_needed_as_long_as_any_reference_to_it_covers_a_live_version() {
        let mut ledger = Ledger::default();
        // Chain 0 wrote it in 1 and let go of it with 3; chain 1 borrows it twice in 2, lets go of
        // one reference with 3 and of the other with 5.
        ledger.begin(0, &slot(1), 1);
        ledger.begin(1, &slot(2), 2);
        assert!(ledger.end(0, &slot(1), 3, 1));
        assert!(ledger.end(1, &slot(2), 3, 1) && ledger.end(1, &slot(2), 5, 1));
        let cases: [([&[u64]; 2], bool); 8] = [
            ([&[1, 2, 3], &[1]], true),
            ([&[2], &[]], true),
            ([&[3, 4], &[]], false),
            ([&[3], &[2]], true),
            ([&[], &[4]], true),
            ([&[], &[4, 5]], true),
            ([&[5], &[5]], false),
            ([&[], &[1]], false),
        ];
        for (lives, expected) in cases {
            assert_eq!(is_needed(&ledger, lives), expected, "{lives:?}");
        }
    }

    #[test]
    fn deaths_beside_the_lineage_end_nothing() {
        let mut ledger = Ledger::default();
        ledger.begin(0, &slot(1), 1);
        ledger.end(0, &slot(1), 4, 1);
        // 4 was deleted, and with it the head: the lineage ends with 2.
        assert!(is_needed(&ledger, [&[2], &[]]));
        assert!(!is_needed(&ledger, [&[5], &[]]));
        let other = SlotRef { slot: 8, ..slot(1) };
        assert!(!ledger.knows(&other) && !ledger.end(0, &other, 2, 1), "nobody borrows that one");
    }
}
