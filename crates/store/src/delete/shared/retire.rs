//! When dead slots that others may have borrowed go: after they were retired, and every unfinished
//! session knows it.
//!
//! ```text
//! look ─▶ retire what goes and was not yet ─▶ look again ─▶ remove what was retired
//!                                                           before every open claim
//! ```
//! Nothing waits: what an unfinished session may have borrowed is left to a later sweep. A slot that
//! was borrowed in time is needed again, by the commit; it stays retired, so nobody else borrows it.

use std::collections::BTreeSet;

use super::books::Books;
use crate::chain::History;
use crate::dedup::{RetireLog, Retired};
use crate::delete::reclaim::ReclaimStep;
use crate::error::Result;
use crate::format::id::PackId;
use crate::format::record::{Retire, RetiredSlots};
use crate::planted::{self, Bug};

/// What a sweep knows of the retire log and of those who may not know it.
#[derive(Debug)]
pub(in crate::delete) struct Retirement {
    pub(in crate::delete) retired: Retired,
    /// The last record that every unfinished session knows of; `None` if there is none of these.
    pub(in crate::delete) known_to_all: Option<u64>,
}

/// When a dead slot goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::delete) enum When {
    /// Nobody can borrow it any more.
    Now,
    /// As soon as it is retired: there is no unfinished session.
    OnceRetired,
    /// When sessions have ended; whether it has to be retired for that.
    Later { is_retired: bool },
}

/// The dead slots of one pack.
#[derive(Debug, Default)]
pub(in crate::delete) struct Split {
    pub(in crate::delete) going: BTreeSet<u32>,
    pub(in crate::delete) later: BTreeSet<u32>,
    /// Those of both that have to be retired.
    pub(in crate::delete) retire: Vec<u32>,
}

impl Retirement {
    pub(in crate::delete) fn of(retired: Retired, books: &Books) -> Self {
        let open = books.histories.iter().flat_map(History::open);
        let known_to_all = open.map(|(_, claim)| claim.retired.unwrap_or(0)).min();
        let known_to_all = known_to_all.filter(|_| !planted::has(Bug::OpenBorrowerIgnored));
        Self { retired, known_to_all }
    }

    fn when(&self, since: Option<u64>) -> When {
        match (since, self.known_to_all) {
            (Some(_), None) => When::Now,
            (Some(n), Some(known)) if n <= known => When::Now,
            (None, None) => When::OnceRetired,
            (since, Some(_)) => When::Later { is_retired: since.is_some() },
        }
    }

    /// When a pack goes of which no slot is needed.
    pub(in crate::delete) fn whole(&self, pack: PackId) -> When {
        self.when(self.retired.all_since(pack))
    }

    pub(in crate::delete) fn split(&self, pack: PackId, dead: &BTreeSet<u32>) -> Split {
        let mut split = Split::default();
        for slot in dead {
            let when = self.when(self.retired.since(pack, *slot));
            let to = match when {
                When::Now | When::OnceRetired => &mut split.going,
                When::Later { .. } => &mut split.later,
            };
            to.insert(*slot);
            if matches!(when, When::OnceRetired | When::Later { is_retired: false }) {
                split.retire.push(*slot);
            }
        }
        split
    }
}

/// Retires what the steps need retired. What goes by them must then be looked at again: only what
/// is seen after the records are durable tells who may have borrowed.
pub(in crate::delete) fn retire(
    log: &RetireLog,
    mut head: u64,
    steps: &[ReclaimStep],
) -> Result<()> {
    let mut wanted: Vec<(PackId, RetiredSlots)> =
        steps.iter().filter_map(|step| Some((step.name.1, step.retire.clone()?))).collect();
    wanted.sort_unstable_by_key(|(pack, _)| *pack);
    let (mut packs, mut count) = (Vec::new(), 0);
    for (pack, slots) in wanted {
        let more = match &slots {
            RetiredSlots::All => 1,
            RetiredSlots::Some(slots) => slots.len(),
        };
        if count + more > Retire::SLOTS_MAX {
            let packs = std::mem::take(&mut packs);
            head = log.append(head, &Retire { packs, by: "sweep".to_owned() })?;
            count = 0;
        }
        count += more;
        packs.push((pack, slots));
    }
    if !packs.is_empty() {
        log.append(head, &Retire { packs, by: "sweep".to_owned() })?;
    }
    Ok(())
}
