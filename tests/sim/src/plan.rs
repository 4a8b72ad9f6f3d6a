//! What a run does, as a value: made from a seed (`generate.rs`), and made smaller by the shrinker.

use cbr_store::ChainRef;
use cbr_store::backend::Op as Call;
use uuid::Uuid;

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
        /// The disk becomes a clone of this chain's disk before it is changed.
        clones: Option<usize>,
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
    /// Puts a version into the trash.
    Trash {
        /// Which chain.
        chain: usize,
        /// Which of its versions.
        choice: u64,
    },
    /// Takes a version out of the trash.
    Undelete {
        /// Which chain.
        chain: usize,
        /// Which of the versions that ever were there.
        choice: u64,
    },
    /// Gives up a version in the trash for good.
    Purge {
        /// Which chain.
        chain: usize,
        /// Which of the versions that ever were there.
        choice: u64,
    },
    /// Keeps a note about the chain.
    Note {
        /// Which chain.
        chain: usize,
    },
    /// Sweeps.
    Reclaim {
        /// Which chain.
        chain: usize,
    },
    /// Sweeps by a plan that is made first and carried out later.
    PlannedReclaim {
        /// Which chain.
        chain: usize,
    },
    /// Recounts what all versions need.
    Audit,
    /// Scrubs a whole pass, some objects at a time, and remembers what is damaged.
    Scrub,
    /// Reads a version without writing it anywhere.
    Verify {
        /// Which chain.
        chain: usize,
        /// Which of its versions.
        choice: u64,
    },
    /// Heals from the repository itself.
    Repair,
    /// Undoes a repair.
    Undo {
        /// Which of the past ones.
        choice: u64,
    },
    /// Makes a tenant a new key.
    RotateTenant {
        /// Which tenant.
        tenant: usize,
    },
    /// Lets a new master key open the repository.
    RotateMaster,
    /// Ends all master keys but the newest.
    RetireMaster,
    /// Destroys a tenant's keys.
    Shred {
        /// Which tenant.
        tenant: usize,
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
    /// Tries to restore a version that was deleted.
    RestoreDeleted {
        /// Which chain.
        chain: usize,
        /// Which of its deleted versions.
        choice: u64,
    },
    /// Reads a few blocks of a version that stays open between these operations.
    Read {
        /// Which chain.
        chain: usize,
        /// Which of its versions, and which blocks.
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
    /// One bit of a pack of blocks flipped, in a slot, that several versions need.
    FlipBlocks,
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
    /// It happens, and the answer is an error.
    TimedOut,
    /// A listing, or a page of one, fails.
    ListFails,
    /// It is said to be unknown, and happens so many calls later, whoever is dead by then.
    Late(u16),
}

impl Kind {
    /// Whether it can happen to this call; else it waits for the next one.
    pub const fn is_about(self, op: Call) -> bool {
        match self {
            Self::TimedOut => matches!(op, Call::Put | Call::Delete),
            // Removals are few, so some are about nothing else.
            Self::Late(after) if after % 3 == 0 => matches!(op, Call::Delete),
            Self::Late(_) => matches!(op, Call::Put),
            Self::PartialList | Self::EmptyList | Self::ListFails => matches!(op, Call::List),
            _ => true,
        }
    }
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

/// What kind of world it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// How many tenants; chain `n` belongs to tenant `n` modulo this. 0 is 1.
    pub tenants: usize,
    /// The chains below this number share blocks with others of their tenant.
    pub sharing: usize,
    /// As `Options::dedup_ram_bytes`.
    pub dedup_ram_bytes: u64,
    /// As `Options::fold_after`; 0 leaves it as it is.
    pub fold_after: u32,
    /// As `Options::pack_bytes`; 0: so small that hardly two slots share a pack.
    pub pack_bytes: u64,
    /// A listing has pages of so many entries, each asked for with a call; 0: it is one answer.
    pub page: usize,
    /// The store overwrites, and an arbiter decides.
    pub overwrites: bool,
    /// Processes leave what they have read of maps for the next ones.
    pub has_cache: bool,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Chance of everything that is not listed here.
    pub seed: u64,
    /// How many chains.
    pub chains: usize,
    /// In which kind of world.
    pub setting: Setting,
    /// As `Options::compact_below_percent`.
    pub compact_below_percent: u8,
    /// Of 100 calls so many are followed by one of the same actor.
    pub sticky: u64,
    /// What each actor does.
    pub actors: Vec<Vec<Op>>,
    /// What goes wrong.
    pub faults: Vec<FaultAt>,
}

impl Setting {
    /// The tenant of a chain, by its number.
    pub fn tenant_of(&self, chain: usize) -> usize {
        chain % self.tenants.max(1)
    }

    /// The id of the tenant of that number.
    pub fn tenant(&self, number: usize) -> Uuid {
        Uuid::from_u128(1 + number as u128)
    }

    /// The chain of that number.
    pub fn chain(&self, number: usize) -> ChainRef {
        let tenant = self.tenant(self.tenant_of(number));
        let id = Uuid::from_u128(100 + number as u128);
        if number < self.sharing {
            ChainRef::sharing(tenant, 0, id)
        } else {
            ChainRef::alone(tenant, 0, id)
        }
    }
}

impl Plan {
    /// Whether objects are damaged, so that not everything can be as it should.
    pub fn is_harmed(&self) -> bool {
        self.actors.iter().flatten().any(|op| matches!(op, Op::Corrupt { .. }))
    }

    /// How large it is, for the shrinker.
    pub fn size(&self) -> usize {
        self.actors.iter().map(Vec::len).sum::<usize>() + self.faults.len()
    }
}
