//! Collecting problems, each damaged thing once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::report::{Affected, Problem};
use crate::error::Error;
use crate::format::id::{PackId, PackKind};
use crate::version::VersionRef;

/// A pack, or one slot of it.
pub(super) type Spot = (PackKind, PackId, Option<u32>);

/// Problems so far, by what is damaged.
#[derive(Debug, Default)]
pub(super) struct Found {
    records: Mutex<Vec<Problem>>,
    spots: Mutex<BTreeMap<Spot, Damage>>,
}

#[derive(Debug)]
struct Damage {
    object: String,
    what: String,
    affected: BTreeMap<VersionRef, Vec<Range<u64>>>,
}

impl Found {
    /// A record is damaged or missing.
    pub(super) fn record(&self, object: impl ToString, what: impl ToString) {
        let (object, what) = (object.to_string(), what.to_string());
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(Problem {
            object,
            what,
            affected: Vec::new(),
        });
    }

    /// A pack or a slot of it is damaged or missing.
    pub(super) fn spot(&self, spot: Spot, object: impl ToString, error: &Error) {
        self.lock().entry(spot).or_insert_with(|| Damage {
            object: object.to_string(),
            what: error.to_string(),
            affected: BTreeMap::new(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.is_empty() && !self.has_spots()
    }

    pub(super) fn has_spots(&self) -> bool {
        !self.lock().is_empty()
    }

    /// If the slot, or its pack, is damaged: `version` misses `range` because of it.
    pub(super) fn affects(
        &self,
        (kind, pack, slot): (PackKind, PackId, u32),
        version: VersionRef,
        range: Range<u64>,
    ) {
        let mut spots = self.lock();
        for spot in [(kind, pack, Some(slot)), (kind, pack, None)] {
            if let Some(damage) = spots.get_mut(&spot) {
                let ranges = damage.affected.entry(version).or_default();
                match ranges.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => ranges.push(range),
                }
                return;
            }
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.records.into_inner().unwrap_or_else(PoisonError::into_inner);
        let spots = self.spots.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.extend(spots.into_values().map(|damage| {
            let affected = damage.affected.into_iter();
            Problem {
                object: damage.object,
                what: damage.what,
                affected: affected.map(|(version, ranges)| Affected { version, ranges }).collect(),
            }
        }));
        problems
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Spot, Damage>> {
        self.spots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
