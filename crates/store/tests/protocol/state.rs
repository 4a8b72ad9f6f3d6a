//! What is stored, and where every process is.
//!
//! Chain A has a version 1 (the *base*), whose map points to the contested slot; sessions 0 and 1
//! want to add versions to it, session 2 wants to add one to chain B.

use crate::rules::Rules;

/// The contested slot, in a set of slots.
pub(crate) const CONTESTED: u8 = 1;
/// The slot that is always needed.
pub(crate) const OTHER: u8 = 2;
/// The most generations of the pack.
pub(crate) const GENERATIONS: usize = 5;
pub(crate) const SESSIONS: usize = 3;
/// The session on chain B.
pub(crate) const BORROWER: usize = 2;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The slots in each generation of the pack that exists.
    pub(crate) generations: [Option<u8>; GENERATIONS],
    /// How many retire records name the contested slot.
    pub(crate) retired: u8,
    /// What became of the base.
    pub(crate) base: Fate,
    pub(crate) sessions: [Session; SESSIONS],
    pub(crate) collectors: [Collector; 2],
    pub(crate) compactor: Compactor,
    /// How often the base went into the trash or came back: the delete records that say so.
    pub(crate) moves: u8,
    /// Somebody was told that the base is back, and nobody deleted it since.
    pub(crate) taken_back: bool,
    pub(crate) purger: Purger,
}

/// Gives up for good what is in the trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Purger {
    #[default]
    Idle,
    /// Saw the base in the trash when there were so many records.
    Looked(u8),
    Ended,
}

/// What the log of deletions says about a version. Its records are numbered and put if absent, so
/// all readers agree on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fate {
    #[default]
    Live,
    /// Deleted; it may come back.
    Trashed,
    /// Gone for good.
    Purged,
}

/// A session: its process, and what it left in the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) at: WriterStep,
    pub(crate) parent: Parent,
    /// The number of the last retire record it saw before its claim.
    pub(crate) seen: u8,
    /// Its map points to the contested slot.
    pub(crate) needs: bool,
    pub(crate) claim: bool,
    pub(crate) outcome: Option<Outcome>,
    /// Its own pack is stored.
    pub(crate) pack: bool,
    /// It told its caller that the version is there.
    pub(crate) acknowledged: bool,
    /// What became of its version.
    pub(crate) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Parent {
    #[default]
    None,
    Base,
    First,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum WriterStep {
    #[default]
    Idle,
    Looked,
    Claimed,
    Decided,
    Uploaded,
    Committed,
    Ended,
}

/// A round of collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Collector {
    pub(crate) at: CollectorStep,
    /// The generations it listed, as bits.
    pub(crate) listed: u8,
    /// The versions that were purged when it read the deletions of a chain: base, session 0, 1, 2.
    pub(crate) purged: [bool; 4],
    /// The number of its retire record.
    pub(crate) number: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum CollectorStep {
    #[default]
    Idle,
    /// Listed the packs; the logs of both chains are next, deletions before sessions.
    Read(Look, Chain, Part),
    Retire,
    /// Until no claim of the chain that is older than the retire record is open.
    Wait(Chain),
    /// Nobody needs the contested slot: these generations go.
    Remove,
    /// Puts the next generation without it.
    Rewrite,
    /// Removes the generation that was rewritten.
    Replace,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Look {
    /// Before the retire record.
    First,
    /// After all older claims are decided.
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Chain {
    A,
    B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Deletions,
    Sessions,
}

/// Rewrites the pack without a third slot that has long been dead, so it keeps both others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Compactor {
    #[default]
    Idle,
    /// Listed; this is the newest generation.
    Listed(usize),
    /// Read these slots of it.
    Holds(usize, u8),
    /// Only when that rule is broken: removed the generation it had read.
    Removed(usize, u8),
    Put(usize),
    Ended,
}

/// One call of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Write(usize),
    Collect(usize),
    Compact,
    /// A version is deleted: `None` is the base.
    Trash(Option<usize>),
    /// A deleted version is taken back.
    Restore(Option<usize>),
    /// A deleted version is given up for good.
    Purge(Option<usize>),
    /// The purger of the base does its next step.
    PurgeBase,
    /// Somebody gives the verdict on an open session.
    Arbitrate(usize),
    /// Packs of an aborted session are removed.
    Clean(usize),
    /// Then its claim, then its outcome, where records are not kept.
    Forget(usize),
}

impl State {
    pub(crate) fn new(rules: &Rules) -> Self {
        let slots = if rules.shared_pack { CONTESTED | OTHER } else { CONTESTED };
        let mut generations = [None; GENERATIONS];
        generations[0] = Some(slots);
        Self {
            generations,
            retired: 0,
            base: Fate::Live,
            sessions: Default::default(),
            collectors: Default::default(),
            compactor: Compactor::Idle,
            moves: 0,
            taken_back: false,
            purger: Purger::Idle,
        }
    }

    /// The slots a reader finds: those of the newest generation.
    pub(crate) fn readable(&self) -> u8 {
        self.generations.iter().rev().find_map(|slots| *slots).unwrap_or(0)
    }

    /// The last of the generations in a listing that is not empty.
    pub(crate) fn newest(listed: u8) -> usize {
        7 - listed.leading_zeros() as usize
    }

    /// The generations that exist, as bits.
    pub(crate) fn listing(&self) -> u8 {
        let bits = self.generations.iter().enumerate();
        bits.filter(|(_, slots)| slots.is_some()).fold(0, |listed, (n, _)| listed | 1 << n)
    }

    /// Whether the map of a parent points to the contested slot.
    pub(crate) fn has_contested(&self, parent: Parent) -> bool {
        match parent {
            Parent::None => false,
            Parent::Base => true,
            Parent::First => self.sessions[0].needs,
        }
    }

    pub(crate) fn fate(&self, parent: Parent) -> Fate {
        match parent {
            Parent::None => Fate::Live,
            Parent::Base => self.base,
            Parent::First => self.sessions[0].fate,
        }
    }

    pub(crate) fn fate_mut(&mut self, version: Option<usize>) -> &mut Fate {
        match version {
            None => &mut self.base,
            Some(session) => &mut self.sessions[session].fate,
        }
    }
}

impl Session {
    pub(crate) fn is_open(&self) -> bool {
        self.claim && self.outcome.is_none()
    }

    /// The version is valid: it can be restored, now or after it was taken back.
    pub(crate) fn is_version(&self) -> bool {
        self.claim && self.outcome == Some(Outcome::Commit)
    }
}
