//! Plans from seeds.
//!
//! [`Plan::plain`] is the first generator: chains alone on a store that keeps its promises. [`Plan::early`]
//! is the second, [`Plan::middle`] the third (`scenes.rs`). None of them ever changes, so that the seeds they once
//! failed at stay what they were. [`Plan::of`] adds what came later.

use crate::chance::Chance;
use crate::plan::{End, FaultAt, Harm, Kind, Op, Plan, Setting};

/// How many versions of a chain are deleted at once.
const DELETED_MAX: u64 = 12;

/// What an actor mostly does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Deleter,
    Sweeper,
    Checker,
    Reader,
    Healer,
    Officer,
}

impl Plan {
    /// The second generator: one in four is a plain run. It must not change: see above.
    pub fn early(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x0b5e_55ed);
        if chance.one_in(4) {
            return Self::plain(seed);
        }
        let setting = setting(&mut chance);
        let fewest = if setting.sharing > 0 { 2 } else { 1 };
        let chains = usize::try_from(fewest + chance.below(3)).unwrap_or(2);
        let mut plan = Self {
            seed,
            chains: chains.max(setting.tenants),
            setting,
            compact_below_percent: chance.pick(&[0, 60, 100, 100, 100]),
            sticky: chance.pick(&[0, 50, 90, 97]),
            actors: Vec::new(),
            faults: Vec::new(),
        };
        plan.people(&mut chance);
        plan.mishaps(&mut chance);
        plan
    }

    fn people(&mut self, chance: &mut Chance) {
        let actors = 2 + chance.below(4);
        let large = chance.one_in(6);
        let (has_officer, is_harmed) = (chance.one_in(3), chance.one_in(4));
        for at in 0..actors {
            let role = match at {
                0 => Role::Writer,
                1 if has_officer => Role::Officer,
                2 if is_harmed => Role::Healer,
                _ => chance.pick(&[
                    Role::Writer,
                    Role::Writer,
                    Role::Deleter,
                    Role::Deleter,
                    Role::Sweeper,
                    Role::Checker,
                    Role::Reader,
                ]),
            };
            let most = if role == Role::Reader { 14 } else { 6 };
            let count = 1 + chance.below(most);
            let ops = (0..count).map(|_| self.op(chance, role, large)).collect();
            self.actors.push(ops);
        }
        if is_harmed {
            // Mostly the healer comes after the harm.
            let is_healer = actors > 2 && !chance.one_in(4);
            let at = if is_healer { 2 } else { usize::try_from(chance.below(actors)).unwrap_or(0) };
            let harm =
                chance.pick(&[Harm::Flip, Harm::Flip, Harm::Truncate, Harm::Lose, Harm::Swap]);
            let choice = chance.next();
            let most = if is_healer { 2 } else { self.actors[at].len() as u64 + 1 };
            let place = chance.below(most);
            let op = Op::Corrupt { harm, choice };
            self.actors[at].insert(usize::try_from(place).unwrap_or(0), op);
            if is_healer {
                // Then there is something to harm.
                let first = self.backup(chance, 0, large);
                self.actors[at].insert(0, first);
            }
            if is_healer && chance.one_in(2) {
                self.actors[at].extend([Op::Repair, Op::Undo { choice: chance.next() }]);
                self.actors[at].push(chance.pick(&[Op::Repair, Op::Scrub]));
            }
        }
    }

    fn mishaps(&mut self, chance: &mut Chance) {
        let faults = chance.pick(&[0, 0, 1, 1, 2, 3, 5, 8]);
        for _ in 0..faults {
            let actor = usize::try_from(chance.below(self.actors.len() as u64)).unwrap_or(0);
            let range = chance.pick(&[30, 100, 300, 600]);
            let call = 1 + chance.below(range);
            // A store with pages says so when a listing fails; it does not lie.
            let is_honest = self.setting.page > 0;
            let kind = if is_honest { honest_kind(chance) } else { any_kind(chance) };
            self.faults.push(FaultAt { actor, call, kind });
        }
    }

    fn op(&self, chance: &mut Chance, role: Role, large: bool) -> Op {
        let chain = usize::try_from(chance.below(self.chains as u64)).unwrap_or(0);
        let tenant = self.setting.tenant_of(chain);
        let choice = chance.next();
        match (role, chance.below(12)) {
            (Role::Writer, 0..=7) | (_, 0..=1) => self.backup(chance, chain, large),
            (Role::Reader, _) | (Role::Checker, 7 | 9..=10) => Op::Read { chain, choice },
            (Role::Officer, 2..=4) => Op::RotateTenant { tenant },
            (Role::Officer, 5..=6) => Op::RotateMaster,
            (Role::Officer, 7..=8) => Op::RetireMaster,
            // Only ever the last tenant, and not the only one.
            (Role::Officer, 9) if self.setting.tenants > 1 => {
                Op::Shred { tenant: self.setting.tenants - 1 }
            }
            (Role::Healer, 2..=4) | (Role::Checker, 6) => Op::Scrub,
            (Role::Healer, 5..=6) => Op::Repair,
            (Role::Healer, 7) => Op::Undo { choice },
            (Role::Healer | Role::Checker, 8) => Op::Verify { chain, choice },
            (Role::Checker, 2..=4) => Op::Check { deep: chance.one_in(2) },
            (Role::Checker, 5) => Op::Audit,
            (Role::Sweeper, 2..=5) | (Role::Writer, 10) => Op::Reclaim { chain },
            (Role::Sweeper, 6..=7) => Op::PlannedReclaim { chain },
            (Role::Sweeper, 9) | (Role::Deleter, 10..=11) => Op::RestoreDeleted { chain, choice },
            (Role::Deleter, 2..=3) => Op::Trash { chain, choice },
            (Role::Deleter, 4) => Op::Undelete { chain, choice },
            (Role::Deleter, 5) => Op::Purge { chain, choice },
            (Role::Deleter, _) => {
                // Now and then (nearly) all there is: then others borrowed what nobody else needs.
                let count = chance.pick(&[1, 1, 2, 3, DELETED_MAX]);
                Op::Delete { chain, choice, count }
            }
            (Role::Writer, 9) => Op::Delete { chain, choice, count: 1 },
            (_, 8) => Op::TakeOver { chain },
            _ => Op::Restore { chain, choice },
        }
    }

    pub(crate) fn backup(&self, chance: &mut Chance, chain: usize, large: bool) -> Op {
        let span = if large { 330 } else { 12 };
        let is_sharing = chain < self.setting.sharing;
        let mut edits = Vec::new();
        for _ in 0..chance.below(5) {
            let (at, fill) = (chance.below(span), fill(chance, is_sharing));
            // Where blocks are shared runs count: neighbours are written together.
            let run = if is_sharing { 1 + chance.below(4) } else { 1 };
            edits.extend((0..run).map(|n| (at + n, if fill == 0 { 0 } else { fill + n })));
        }
        let resize = chance.one_in(6).then(|| 1 + chance.below(span));
        let other = usize::try_from(chance.below(self.chains as u64)).unwrap_or(0);
        let clones = (is_sharing && chance.one_in(3)).then_some(other);
        let end = match chance.below(12) {
            0 => End::Abort,
            1 => End::Drop,
            _ => End::Commit,
        };
        Op::Backup { chain, edits, resize, clones, with_map: chance.one_in(3), end }
    }
}

/// What fills a block. Where blocks are shared, and often elsewhere, there are few contents, so that many
/// are equal: others borrow them, and a repair finds them a second time.
fn fill(chance: &mut Chance, is_sharing: bool) -> u64 {
    match chance.below(5) {
        0 => 0,
        _ if is_sharing || chance.one_in(2) => 1 + chance.below(40),
        _ => 1 + chance.below(1 << 40),
    }
}

fn setting(chance: &mut Chance) -> Setting {
    let is_sharing = !chance.one_in(4);
    Setting {
        tenants: chance.pick(&[1, 1, 1, 2]),
        sharing: if is_sharing { chance.pick(&[2, 3, 4, 4]) } else { 0 },
        dedup_ram_bytes: chance.pick(&[8 << 20, 8 << 20, 8 << 20, 36_000, 35_000, 2000]),
        fold_after: chance.pick(&[3, 3, 8, 32]),
        pack_bytes: chance.pick(&[0, 0, 8 << 10]),
        page: usize::try_from(chance.pick(&[0, 0, 1, 2, 3, 7])).unwrap_or(0),
        overwrites: chance.one_in(4),
        has_cache: false,
    }
}

fn honest_kind(chance: &mut Chance) -> Kind {
    match chance.below(16) {
        0 => Kind::Unavailable(1 + u8::try_from(chance.below(9)).unwrap_or(0)),
        1 => Kind::ListFails,
        2 => Kind::NoSpace,
        3 => Kind::LostAnswer,
        4 => Kind::LostRequest,
        5..=6 => Kind::TimedOut,
        7..=9 => Kind::Late(5 + u16::try_from(chance.below(300)).unwrap_or(0)),
        10 => Kind::CrashBefore,
        11 => Kind::CrashAfter,
        12 => Kind::CrashAll,
        _ => Kind::Pause(10 + u16::try_from(chance.below(400)).unwrap_or(0)),
    }
}

fn any_kind(chance: &mut Chance) -> Kind {
    if chance.one_in(4) {
        return chance.pick(&[Kind::TornRead, Kind::PartialList, Kind::EmptyList]);
    }
    honest_kind(chance)
}

impl Plan {
    /// The plain run that belongs to `seed`. It must not change: see above.
    pub fn plain(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5eed);
        let chains = usize::try_from(chance.pick(&[1, 1, 1, 2, 3])).unwrap_or(1);
        let actors = 2 + chance.below(4);
        let is_harmed = chance.one_in(8);
        let mut plan = Self {
            seed,
            chains,
            setting: Setting::default(),
            compact_below_percent: chance.pick(&[0, 60, 100, 100]),
            sticky: chance.pick(&[0, 50, 90, 97]),
            actors: Vec::new(),
            faults: Vec::new(),
        };
        let large = chance.one_in(4);
        for _ in 0..actors {
            let role = chance.below(6);
            let count = 1 + chance.below(5);
            let ops = (0..count).map(|_| plain_op(&mut chance, role, chains, large)).collect();
            plan.actors.push(ops);
        }
        if is_harmed {
            let at = usize::try_from(chance.below(actors)).unwrap_or(0);
            let harm = chance.pick(&[Harm::Flip, Harm::Truncate, Harm::Lose, Harm::Swap]);
            let choice = chance.next();
            let place = chance.below(plan.actors[at].len() as u64 + 1);
            plan.actors[at]
                .insert(usize::try_from(place).unwrap_or(0), Op::Corrupt { harm, choice });
        }
        let faults = chance.pick(&[0, 1, 1, 2, 3, 5, 8]);
        for _ in 0..faults {
            let actor = usize::try_from(chance.below(actors)).unwrap_or(0);
            let range = chance.pick(&[30, 100, 300]);
            let call = 1 + chance.below(range);
            plan.faults.push(FaultAt { actor, call, kind: plain_kind(&mut chance) });
        }
        plan
    }
}

fn plain_op(chance: &mut Chance, role: u64, chains: usize, large: bool) -> Op {
    let chain = usize::try_from(chance.below(chains as u64)).unwrap_or(0);
    let roll = chance.below(12);
    match (role, roll) {
        (0..=2, 0..=7) | (3..=5, 0..=1) => plain_backup(chance, chain, large),
        (_, 8) => Op::TakeOver { chain },
        (3, _) => Op::Delete { chain, choice: chance.next(), count: 1 + chance.below(3) },
        (4, 2..=6) | (0..=2, 10) => Op::Reclaim { chain },
        (5, 2..=5) => Op::Check { deep: chance.one_in(2) },
        (0..=2, 9) => Op::Delete { chain, choice: chance.next(), count: 1 },
        _ => Op::Restore { chain, choice: chance.next() },
    }
}

fn plain_backup(chance: &mut Chance, chain: usize, large: bool) -> Op {
    let span = if large { 330 } else { 12 };
    let edits = chance.below(7);
    let mut seed = || {
        let at = chance.below(span);
        let fill = if chance.one_in(5) { 0 } else { 1 + chance.below(1 << 40) };
        (at, fill)
    };
    let edits = (0..edits).map(|_| seed()).collect();
    let resize = chance.one_in(6).then(|| 1 + chance.below(span));
    let end = match chance.below(12) {
        0 => End::Abort,
        1 => End::Drop,
        _ => End::Commit,
    };
    Op::Backup { chain, edits, resize, clones: None, with_map: chance.one_in(3), end }
}

fn plain_kind(chance: &mut Chance) -> Kind {
    match chance.below(14) {
        0 => Kind::Unavailable(1 + u8::try_from(chance.below(9)).unwrap_or(0)),
        1 => Kind::NoSpace,
        2 => Kind::LostAnswer,
        3 => Kind::LostRequest,
        4 => Kind::TornRead,
        5 => Kind::PartialList,
        6 => Kind::EmptyList,
        7 => Kind::CrashBefore,
        8 => Kind::CrashAfter,
        9 => Kind::CrashAll,
        _ => Kind::Pause(10 + u16::try_from(chance.below(400)).unwrap_or(0)),
    }
}
