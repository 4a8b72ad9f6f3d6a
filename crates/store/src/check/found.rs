//! Collecting problems, each damaged thing once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::report::{Affected, Problem};
use crate::error::Error;
use crate::format::id::{DomainId, PackId};
use crate::heal::Spot;
use crate::version::VersionRef;

/// Problems so far, by what is damaged.
#[derive(Debug, Default)]
pub(super) struct Found {
    records: Mutex<Vec<Problem>>,
    spots: Mutex<BTreeMap<Spot, Damage>>,
    healed: AtomicU64,
}

#[derive(Clone, Debug)]
struct Damage {
    object: String,
    what: String,
    /// Bit `i`: block `i` of the slot is lost.
    lost: u16,
    affected: BTreeMap<VersionRef, Vec<Range<u64>>>,
}

impl Found {
    /// A record is damaged or missing.
    pub(super) fn record(&self, object: impl ToString, what: impl ToString) {
        let (object, what) = (object.to_string(), what.to_string());
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(Problem {
            object,
            what,
            spot: None,
            domain: None,
            affected: Vec::new(),
        });
    }

    /// Something is damaged, but what it had can be read elsewhere.
    pub(super) fn healed(&self) {
        self.healed.fetch_add(1, Ordering::Relaxed);
    }

    /// A pack or a slot of it is damaged or missing.
    pub(super) fn spot(&self, spot: Spot, object: impl ToString, error: &Error) {
        self.partly(spot, object, error, u16::MAX);
    }

    /// Of a slot these blocks are lost.
    pub(super) fn partly(&self, spot: Spot, object: impl ToString, error: &Error, lost: u16) {
        self.lock().entry(spot).or_insert_with(|| Damage {
            object: object.to_string(),
            what: error.to_string(),
            lost,
            affected: BTreeMap::new(),
        });
    }

    /// Takes over what was found elsewhere; of packs only those that `is_needed`.
    pub(super) fn adopt(&self, other: &Self, is_needed: &dyn Fn(&PackId) -> bool) {
        let theirs = other.records.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.extend(theirs);
        drop(records);
        let theirs = other.lock().clone();
        let needed = theirs.into_iter().filter(|(spot, _)| is_needed(&spot.pack));
        self.lock().extend(needed);
    }

    pub(super) fn is_empty(&self) -> bool {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.is_empty() && !self.has_spots()
    }

    pub(super) fn has_spots(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Whether the slot, or its pack, is damaged, and which of its blocks are lost for sure.
    pub(super) fn damage(&self, slot: Spot) -> Option<(Spot, u16)> {
        let spots = self.lock();
        let damage = |spot| spots.get(&spot).map(|damage| (spot, damage.lost));
        damage(slot).or_else(|| damage(Spot { slot: None, ..slot }))
    }

    /// `version` misses `range` because of the damage at `spot`.
    pub(super) fn affects(&self, spot: Spot, version: VersionRef, range: Range<u64>) {
        let mut spots = self.lock();
        let Some(damage) = spots.get_mut(&spot) else { return };
        let ranges = damage.affected.entry(version).or_default();
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }

    pub(super) fn healed_count(&self) -> u64 {
        self.healed.load(Ordering::Relaxed)
    }

    /// All problems, as those of `domain`.
    pub(super) fn into_problems(self, domain: DomainId) -> Vec<Problem> {
        let mut problems = self.records.into_inner().unwrap_or_else(PoisonError::into_inner);
        let spots = self.spots.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.extend(spots.into_iter().map(|(spot, damage)| {
            let affected = damage.affected.into_iter();
            Problem {
                object: damage.object,
                what: damage.what,
                spot: Some(spot),
                domain: None,
                affected: affected.map(|(version, ranges)| Affected { version, ranges }).collect(),
            }
        }));
        for problem in &mut problems {
            problem.domain = Some(domain);
        }
        problems
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Spot, Damage>> {
        self.spots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
