//! What becomes of the backups of a resource in the time to come, if its policy runs as planned and
//! nobody does anything by hand. The same plan that the service carries out, applied to times ahead.

use std::collections::BTreeMap;

use cbr_model::policy::retention::Base;
use cbr_model::policy::schedule::Schedule;
use cbr_model::retention::RemoveReason;
use cbr_model::{BackupId, Timestamp};
use uuid::Uuid;

use super::plan::{Candidate, Condition, Governing, deletable, newly_expired};

/// So many runs ahead are looked at, and no more.
pub(crate) const RUNS_MAX: usize = 1000;

/// When a backup goes, and by which rule. The logical end (RET-18): it is deleted in the next window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Going {
    pub(crate) at: Timestamp,
    pub(crate) rule: RemoveReason,
}

/// When these backups of one resource go, from `now` to `until`; those that stay are not in it. Each
/// run of `schedule` makes one backup of it, complete at once.
pub(crate) fn forecast(
    candidates: &[Candidate],
    governing: Governing<'_>,
    schedule: Option<&Schedule>,
    (now, until): (Timestamp, Timestamp),
) -> BTreeMap<BackupId, Going> {
    let mut alive = candidates.to_vec();
    let mut going = BTreeMap::new();
    collect(&mut alive, governing, now, &mut going);
    // Only a number asks how many newer ones there are.
    let is_by_number =
        matches!(governing, Governing::Policy(rule) if matches!(rule.base, Base::Newest(_)));
    let runs = schedule.filter(|_| is_by_number);
    let runs = runs.map(|schedule| schedule.upcoming(now, RUNS_MAX)).unwrap_or_default();
    // What comes after the last run that was looked at is not known.
    let until = runs.last().filter(|_| runs.len() == RUNS_MAX).map_or(until, |at| until.min(*at));
    let (Some(resource), Governing::Policy(retention)) =
        (candidates.first().map(|candidate| candidate.resource), governing)
    else {
        ends(&mut alive, governing, until, &mut going);
        return going;
    };
    for (index, at) in runs.into_iter().take_while(|at| *at <= until).enumerate() {
        ends(&mut alive, governing, at, &mut going);
        alive.push(Candidate {
            // Random ids have a version in them and are never as small.
            id: BackupId::from_uuid(Uuid::from_u128(index as u128)),
            resource,
            created_at: at,
            expired_at: retention.expires_at(at),
            is_automatic: true,
            state: Condition::Idle,
            has_image: false,
            is_held: false,
            is_suspected: false,
            is_locked: false,
            decided: None,
        });
        for (id, rule) in newly_expired(&alive, governing, at, true) {
            alive.retain(|candidate| candidate.id != id);
            going.insert(id, Going { at, rule });
        }
    }
    ends(&mut alive, governing, until, &mut going);
    going.retain(|id, _| candidates.iter().any(|candidate| candidate.id == *id));
    going
}

/// Those that may be deleted at `now` already.
fn collect(
    alive: &mut Vec<Candidate>,
    governing: Governing<'_>,
    now: Timestamp,
    going: &mut BTreeMap<BackupId, Going>,
) {
    for (id, rule) in deletable(alive, governing, now) {
        let own_end = alive.iter().find(|one| one.id == id).and_then(|one| one.expired_at);
        let at = own_end.filter(|_| rule == RemoveReason::Expired).unwrap_or(now);
        alive.retain(|candidate| candidate.id != id);
        going.insert(id, Going { at, rule });
    }
}

/// Those whose own end comes until `time`.
fn ends(
    alive: &mut Vec<Candidate>,
    governing: Governing<'_>,
    time: Timestamp,
    going: &mut BTreeMap<BackupId, Going>,
) {
    if alive.iter().any(|one| one.expired_at.is_some_and(|end| end <= time)) {
        collect(alive, governing, time, going);
    }
}
