//! What a reclaim will do, as a value, and when it is too much to believe (P10).
//!
//! **The ceiling.** How much goes is no sign of anything: who deletes all versions of a chain frees
//! all of it. What goes has to be *explained*: a pack by the abort of the session that wrote it or
//! by the deletion of its version; a single slot by the deletion of every version from its birth to
//! its death. This is asked of the log once more, beside the lineage by which the plan was made. As
//! long as both agree nothing is unexplained. If they do not, one of them is wrong, and the more
//! would go, the worse: above 20 % of the stored bytes or half of the packs of a chain's domain
//! nothing goes unless the operator says so.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::PackName;
use crate::backend::Key;
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::format::record::RetiredSlots;

/// The most of the stored bytes that may go without an explanation, in percent.
const UNEXPLAINED_BYTES_PERCENT_MAX: u64 = 20;
/// The most of the packs.
const UNEXPLAINED_PACKS_PERCENT_MAX: u64 = 50;

/// What goes and what is rewritten, chain by chain. [`crate::Repository::execute`] does it.
#[derive(Debug, Default)]
pub struct ReclaimPlan {
    /// The chains of which something goes or was kept at the last moment; of those that share
    /// blocks one for all.
    pub chains: Vec<ChainReclaim>,
    /// Chains of which nothing can be removed now, and why.
    pub blocked: Vec<(ChainRef, Error)>,
}

impl ReclaimPlan {
    /// Bytes of objects that go, about: what a rewritten pack's tables will take is not known.
    pub fn freed_bytes(&self) -> u64 {
        self.chains.iter().flat_map(|chain| &chain.steps).map(|step| step.freed_bytes).sum()
    }
}

/// What a reclaim does to the packs of one chain, or of all chains that share blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReclaim {
    /// The chain; of those that share blocks the first.
    pub chain: ChainRef,
    /// Bytes of all packs of the chain's domain.
    pub stored_bytes: u64,
    /// How many packs those are.
    pub stored_packs: u64,
    /// One per pack that changes.
    pub steps: Vec<ReclaimStep>,
    /// What would go though no record explains it.
    pub unexplained: Unexplained,
    /// Packs that the bookkeeping gave up and a live version's map still points to. They stay. Each
    /// of them is a defect.
    pub rescued: Vec<String>,
}

/// Bytes and packs that no deletion and no abort explains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unexplained {
    /// Sealed bytes.
    pub bytes: u64,
    /// Packs of which something would go.
    pub packs: u64,
}

/// What happens to one pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReclaimStep {
    /// The chain that wrote the pack.
    pub chain: Option<ChainRef>,
    /// The pack's name, for people.
    pub pack: String,
    /// What is done.
    pub action: ReclaimAction,
    /// Why that is right.
    pub reason: ReclaimReason,
    /// Bytes of objects that go; of a pack that is rewritten, sealed bytes of its dead slots.
    pub freed_bytes: u64,
    /// Bytes that are written again.
    pub rewritten_bytes: u64,
    /// Bytes that nobody needs and that go with a later sweep: an unfinished session may have
    /// borrowed them.
    pub waiting_bytes: u64,
    pub(crate) name: PackName,
    /// The patch that goes, if it is one.
    pub(crate) patch: Option<Key>,
    pub(crate) generations: BTreeMap<u32, u64>,
    /// The slots that go. A pack that goes as a whole has none here.
    pub(crate) dead: BTreeSet<u32>,
    /// What is named in the retire log before anything of it goes.
    pub(crate) retire: Option<RetiredSlots>,
}

impl ReclaimStep {
    pub(crate) fn goes_once_retired(&self) -> bool {
        self.retire.is_some() && self.action != ReclaimAction::Retire
    }
}

/// What is done with a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimAction {
    /// All its generations are removed.
    Remove,
    /// An object that mends it is removed; the pack goes, or has gone, as well.
    RemovePatch,
    /// It is written again without its dead slots.
    Rewrite,
    /// Only generations that a newer one replaces are removed.
    RemoveOlder,
    /// Nobody may borrow from it any more; it goes when the sessions have ended that may have.
    Retire,
}

/// Why something may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReclaimReason {
    /// The session of this number was aborted.
    Aborted(u64),
    /// The version of this number was deleted, and none that remains needs the pack.
    Deleted(u64),
    /// All versions that needed these slots were deleted.
    DeadSlots,
    /// A newer generation has everything.
    Superseded,
}

impl ChainReclaim {
    /// # Errors
    /// [`Error::AboveCeiling`]
    pub(crate) fn check_ceiling(&self) -> Result<()> {
        let Unexplained { bytes, packs } = self.unexplained;
        let exceeds = |part: u64, whole: u64, percent: u64| {
            u128::from(part) * 100 > u128::from(whole) * u128::from(percent)
        };
        let is_above = exceeds(bytes, self.stored_bytes, UNEXPLAINED_BYTES_PERCENT_MAX)
            || exceeds(packs, self.stored_packs, UNEXPLAINED_PACKS_PERCENT_MAX);
        if !is_above {
            return Ok(());
        }
        let (stored_bytes, stored_packs) = (self.stored_bytes, self.stored_packs);
        Err(Error::AboveCeiling {
            what: format!(
                "{bytes} of {stored_bytes} bytes in {packs} of {stored_packs} packs of chain {} \
                 would go, and no deletion explains it",
                self.chain
            ),
        })
    }

    /// Only what `earlier` said as well: what was foreseen and is still right.
    pub(crate) fn limited_to(mut self, earlier: &Self) -> Self {
        let same = |step: &ReclaimStep, other: &ReclaimStep| {
            (step.name, step.action) == (other.name, other.action)
                && (&step.dead, &step.patch) == (&other.dead, &other.patch)
        };
        self.steps.retain(|step| earlier.steps.iter().any(|other| same(step, other)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// P10
    #[test]
    fn what_nothing_explains_may_go_up_to_a_fifth_of_the_bytes_and_half_of_the_packs() {
        let cases = [
            ("nothing", 0, 0, true),
            ("a fifth", 200, 1, true),
            ("more than a fifth", 201, 1, false),
            ("half of the packs", 10, 5, true),
            ("more than half of the packs", 10, 6, false),
            ("everything", 1000, 10, false),
        ];
        for (name, bytes, packs, is_allowed) in cases {
            let chain = ChainReclaim {
                chain: ChainRef::alone(Uuid::nil(), 0, Uuid::nil()),
                stored_bytes: 1000,
                stored_packs: 10,
                steps: Vec::new(),
                unexplained: Unexplained { bytes, packs },
                rescued: Vec::new(),
            };
            let checked = chain.check_ceiling();
            assert_eq!(checked.is_ok(), is_allowed, "{name}");
            assert!(matches!(checked, Ok(()) | Err(Error::AboveCeiling { .. })), "{name}");
        }
    }
}
