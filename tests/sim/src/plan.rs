//! What a run does, as a value: made from a seed, and made smaller by the shrinker.

use crate::chance::Chance;

/// One thing an actor does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Changes the chain's disk and backs it up.
    Backup {
        /// Which chain.
        chain: usize,
        /// Blocks, and what they are filled from.
        edits: Vec<(u64, u64)>,
        /// Another size, in blocks.
        resize: Option<u64>,
        /// Only what changed is read.
        with_map: bool,
        /// How it ends.
        end: End,
    },
    /// Ends what another actor's latest backup of the chain began, and makes it instead: what
    /// happens when its worker is believed dead.
    TakeOver {
        /// Which chain.
        chain: usize,
    },
    /// Deletes some versions.
    Delete {
        /// Which chain.
        chain: usize,
        /// Which of its versions.
        choice: u64,
        /// How many.
        count: u64,
    },
    /// Sweeps.
    Reclaim {
        /// Which chain.
        chain: usize,
    },
    /// Looks at everything.
    Check {
        /// Reads every byte.
        deep: bool,
    },
    /// Restores a version.
    Restore {
        /// Which chain.
        chain: usize,
        /// Which of its versions.
        choice: u64,
    },
    /// Damages an object behind the engine's back.
    Corrupt {
        /// What is done to it.
        harm: Harm,
        /// Which object.
        choice: u64,
    },
}

/// How a backup ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a version.
    Commit,
    /// Aborted by its owner.
    Abort,
    /// Left behind.
    Drop,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// One bit flipped.
    Flip,
    /// The last third is gone.
    Truncate,
    /// It is gone.
    Lose,
    /// It has the bytes of another object of its kind.
    Swap,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This many calls in a row fail without effect.
    Unavailable(u8),
    /// A put finds no room; other calls fail.
    NoSpace,
    /// It happens, and nobody learns of it.
    LostAnswer,
    /// It does not happen, and nobody learns of that.
    LostRequest,
    /// Half of what is read is not what is stored.
    TornRead,
    /// A listing lacks its second half, and does not say so.
    PartialList,
    /// A listing shows nothing, and does not say so.
    EmptyList,
    /// The process dies before the call.
    CrashBefore,
    /// The process dies after the call.
    CrashAfter,
    /// All processes die.
    CrashAll,
    /// The process sleeps for so many calls of the others.
    Pause(u16),
}

/// A fault, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultAt {
    /// Whose call.
    pub actor: usize,
    /// Which of its calls.
    pub call: u64,
    /// What happens.
    pub kind: Kind,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Chance of everything that is not listed here.
    pub seed: u64,
    /// How many chains.
    pub chains: usize,
    /// As `Options::compact_below_percent`.
    pub compact_below_percent: u8,
    /// Of 100 calls so many are followed by one of the same actor.
    pub sticky: u64,
    /// What each actor does.
    pub actors: Vec<Vec<Op>>,
    /// What goes wrong.
    pub faults: Vec<FaultAt>,
}

impl Plan {
    /// The run that belongs to `seed`.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5eed);
        let chains = usize::try_from(chance.pick(&[1, 1, 1, 2, 3])).unwrap_or(1);
        let actors = 2 + chance.below(4);
        let is_harmed = chance.one_in(8);
        let mut plan = Self {
            seed,
            chains,
            compact_below_percent: chance.pick(&[0, 60, 100, 100]),
            sticky: chance.pick(&[0, 50, 90, 97]),
            actors: Vec::new(),
            faults: Vec::new(),
        };
        let large = chance.one_in(4);
        for _ in 0..actors {
            let role = chance.below(6);
            let count = 1 + chance.below(5);
            let ops = (0..count).map(|_| op(&mut chance, role, chains, large)).collect();
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
            plan.faults.push(FaultAt { actor, call, kind: kind(&mut chance) });
        }
        plan
    }

    /// Whether objects are damaged, so that not everything can be as it should.
    pub fn is_harmed(&self) -> bool {
        self.actors.iter().flatten().any(|op| matches!(op, Op::Corrupt { .. }))
    }

    /// How large it is, for the shrinker.
    pub fn size(&self) -> usize {
        self.actors.iter().map(Vec::len).sum::<usize>() + self.faults.len()
    }
}

fn op(chance: &mut Chance, role: u64, chains: usize, large: bool) -> Op {
    let chain = usize::try_from(chance.below(chains as u64)).unwrap_or(0);
    let roll = chance.below(12);
    match (role, roll) {
        (0..=2, 0..=7) | (3..=5, 0..=1) => backup(chance, chain, large),
        (_, 8) => Op::TakeOver { chain },
        (3, _) => Op::Delete { chain, choice: chance.next(), count: 1 + chance.below(3) },
        (4, 2..=6) | (0..=2, 10) => Op::Reclaim { chain },
        (5, 2..=5) => Op::Check { deep: chance.one_in(2) },
        (0..=2, 9) => Op::Delete { chain, choice: chance.next(), count: 1 },
        _ => Op::Restore { chain, choice: chance.next() },
    }
}

fn backup(chance: &mut Chance, chain: usize, large: bool) -> Op {
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
    Op::Backup { chain, edits, resize, with_map: chance.one_in(3), end }
}

fn kind(chance: &mut Chance) -> Kind {
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
