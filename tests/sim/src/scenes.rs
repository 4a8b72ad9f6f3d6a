//! Scenes: short sequences that are added to some plans because chance alone hardly ever makes them.
//! Each is there for a mistake that nothing else showed (tests/planted.rs).

use crate::chance::Chance;
use crate::plan::{End, FaultAt, Harm, Kind, Op, Plan, Setting};

/// How many actors there are at most; the scenes of further ones are played by those.
const ACTORS_MAX: usize = 5;

impl Plan {
    /// The run that belongs to `seed`: half of them have a cache.
    pub fn of(seed: u64) -> Self {
        let mut plan = Self::middle(seed);
        plan.setting.has_cache = Chance::new(seed ^ 0xcac4e).one_in(2);
        let mut chance = Chance::new(seed ^ 0x3e4d);
        // A second harm may take a slot's content and another one its identity: then nothing heals it.
        if plan.setting != Setting::default() && !plan.is_harmed() && chance.one_in(16) {
            plan.mend(&mut chance);
        }
        plan
    }

    /// The third generator. It must not change: see `generate.rs`.
    pub fn middle(seed: u64) -> Self {
        let mut plan = Self::early(seed);
        if plan.setting == Setting::default() {
            return plan;
        }
        let mut chance = Chance::new(seed ^ 0x3ee7);
        match chance.below(20) {
            0..=3 => plan.meet(&mut chance),
            4..=5 => plan.linger(&mut chance),
            6..=7 => plan.fail_lists(&mut chance, 1, 200),
            8..=9 => plan.fail_pages(&mut chance),
            10..=11 => plan.take_notes(&mut chance),
            _ => {}
        }
        plan
    }

    /// Two who move the same versions into the trash, out of it and out of the world, while a third one
    /// sweeps.
    fn meet(&mut self, chance: &mut Chance) {
        let (chain, choice) = (self.any_chain(chance), chance.next());
        let mut first = vec![self.backup(chance, chain, false), self.backup(chance, chain, false)];
        for _ in 0..2 {
            first.extend([Op::Trash { chain, choice }, Op::Purge { chain, choice }]);
        }
        let mut second = vec![Op::Undelete { chain, choice }; 3];
        second.extend([Op::Reclaim { chain }, Op::Undelete { chain, choice }]);
        let third = vec![Op::Reclaim { chain }, Op::PlannedReclaim { chain }];
        for ops in [first, second, third] {
            self.play(chance, ops);
        }
    }

    /// Somebody reads a version, others delete the one before and rewrite the pack of both, and he reads on.
    fn linger(&mut self, chance: &mut Chance) {
        let chain = self.any_chain(chance);
        self.compact_below_percent = 100;
        self.setting.pack_bytes = 8 << 10;
        let full = |fills: u64| (0..12).map(|at| (at, fills + at * at)).collect();
        // Every other frame of two blocks: what is left of the others would keep whole slots.
        let half =
            |fills: u64| (0..12).filter(|at| at / 2 % 2 == 0).map(|at| (at, fills + at)).collect();
        let fills = 1 + chance.below(1 << 40);
        let backup = |edits| Op::Backup {
            chain,
            edits,
            resize: Some(12),
            clones: None,
            with_map: false,
            end: End::Commit,
        };
        let first = vec![backup(full(fills)), backup(half(fills << 1))];
        let mut reader: Vec<Op> =
            (0..8).map(|_| Op::Read { chain, choice: chance.next() | 1 }).collect();
        let delete = Op::Delete { chain, choice: 0, count: 1 };
        if chance.one_in(2) {
            reader.insert(1, delete);
            reader.insert(2, Op::Reclaim { chain });
            self.play(chance, first.into_iter().chain(reader).collect());
        } else {
            self.play(chance, first.into_iter().chain([delete]).collect());
            self.play(chance, reader);
        }
    }

    /// Somebody deletes so often, and asks for lists that fail at some of so many calls.
    fn fail_lists(&mut self, chance: &mut Chance, deletions: usize, calls: u64) {
        let chain = self.any_chain(chance);
        let mut ops: Vec<Op> = (0..=deletions).map(|_| self.backup(chance, chain, false)).collect();
        let delete = |chance: &mut Chance| Op::Delete { chain, choice: chance.next(), count: 1 };
        ops.extend((0..deletions).map(|_| delete(chance)));
        ops.extend((0..6).map(|_| Op::RestoreDeleted { chain, choice: chance.next() }));
        let actor = self.play(chance, ops);
        for _ in 0..6 {
            let call = 20 + chance.below(calls);
            self.faults.push(FaultAt { actor, call, kind: Kind::ListFails });
        }
    }

    /// The same where a list has pages, of which any may fail.
    fn fail_pages(&mut self, chance: &mut Chance) {
        self.setting.page = 1 + usize::try_from(chance.below(3)).unwrap_or(0);
        // A store with pages does not lie.
        let is_lie = |kind| matches!(kind, Kind::TornRead | Kind::PartialList | Kind::EmptyList);
        self.faults.retain(|fault| !is_lie(fault.kind));
        self.fail_lists(chance, 2, 600);
    }

    /// Several note something about one chain at the same time.
    fn take_notes(&mut self, chance: &mut Chance) {
        let chain = self.any_chain(chance);
        let mut first = vec![self.backup(chance, chain, false)];
        first.extend((0..3).map(|_| Op::Note { chain }));
        self.play(chance, first);
        for _ in 0..2 {
            let others = self.any_chain(chance);
            self.play(chance, vec![Op::Note { chain: others }, Op::Note { chain }]);
        }
    }

    /// A pack is damaged, healed by who has its blocks still, and loses some of them afterwards; where blocks are
    /// shared another chain needs it, too, and somebody borrows from it meanwhile.
    fn mend(&mut self, chance: &mut Chance) {
        let chain = self.any_chain(chance);
        let other = (chain + 1) % self.chains;
        self.compact_below_percent = 100;
        self.setting.pack_bytes = 8 << 10;
        let backup = |chain, edits, clones| Op::Backup {
            chain,
            edits,
            resize: Some(12),
            clones,
            with_map: false,
            end: End::Commit,
        };
        let fills = 1 + chance.below(1 << 40);
        let full = (0..12).map(|at| (at, fills + at * at)).collect();
        // What the second versions have alone is of the pack that is harmed, too.
        let from = chance.pick(&[1, 2, 3, 3, 6, 11]);
        let part: Vec<(u64, u64)> = (from..12).map(|at| (at, (fills << 1) + at)).collect();
        let clone = (other != chain).then_some(chain);
        let mut ops = vec![backup(chain, full, None), backup(other, Vec::new(), clone)];
        ops.extend([backup(chain, part.clone(), None), backup(other, part, None)]);
        let harm = chance.pick(&[Harm::FlipBlocks, Harm::FlipBlocks, Harm::FlipBlocks, Harm::Flip]);
        ops.extend([Op::Corrupt { harm, choice: chance.next() }, Op::Scrub]);
        if chance.one_in(2) {
            ops.push(Op::Repair);
        }
        // They heal it, and build on it no more.
        ops.extend([backup(chain, Vec::new(), None), backup(other, Vec::new(), None)]);
        for chain in [chain, other] {
            ops.push(Op::Delete { chain, choice: 0, count: 1 + chance.below(2) });
            ops.push(Op::Reclaim { chain });
        }
        ops.push(Op::Restore { chain, choice: chance.next() });
        self.play(chance, ops);
        let borrower = self.any_chain(chance);
        let borrows = vec![backup(borrower, Vec::new(), Some(chain)); 3];
        self.play(chance, borrows);
    }

    fn any_chain(&self, chance: &mut Chance) -> usize {
        usize::try_from(chance.below(self.chains as u64)).unwrap_or(0)
    }

    /// Lets one more actor do this, or one of those there are; says who.
    fn play(&mut self, chance: &mut Chance, ops: Vec<Op>) -> usize {
        if self.actors.len() < ACTORS_MAX {
            self.actors.push(ops);
            return self.actors.len() - 1;
        }
        let at = usize::try_from(chance.below(ACTORS_MAX as u64)).unwrap_or(0);
        self.actors[at].extend(ops);
        at
    }
}
