//! Which backups of a vault go by themselves now, and why the others stay (RET-01 … RET-36).
//!
//! A pure plan: it is made from the backups, the rule they are under and the time, and nothing is
//! done by it. Expiry by time is stamped on a backup when it is made (RET-20); the rule by number
//! is always the present one. So a change of the rule needs no history:
//!
//! | from → to | old backups |
//! | --- | --- |
//! | number → number | the new number counts them (RET-30) |
//! | number → time, for ever | nothing removes them any more: they have no stamp (RET-31) |
//! | time → time, for ever | they keep their stamp (RET-32) |
//! | time → number | stamp or number, whichever comes first (RET-33, Z-03) |

use std::collections::{BTreeMap, BTreeSet};

use cbr_model::policy::retention::{Base, CalendarPeriod, Retention, plus_months};
use cbr_model::policy::zone::UtcOffset;
use cbr_model::retention::RemoveReason;
use cbr_model::{BackupId, ResourceId, Timestamp};

/// So many failed automatic backups of a resource are kept (RET-13) ...
const FAILED_MAX: usize = 10;
/// ... and no longer than so many months.
const FAILED_MONTHS: u32 = 1;

/// A backup the plan decides about: a disk's or a server's, never one of a server's disks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: BackupId,
    pub(crate) resource: ResourceId,
    pub(crate) created_at: Timestamp,
    /// Stamped when it was made.
    pub(crate) expired_at: Option<Timestamp>,
    /// Made by a policy.
    pub(crate) is_automatic: bool,
    pub(crate) state: Condition,
    /// An image was made of it (RET-12).
    pub(crate) has_image: bool,
    /// Somebody wants it kept, or has taken it back.
    pub(crate) is_held: bool,
    /// A backup of its resource looks suspicious, and nobody has confirmed it.
    pub(crate) is_suspected: bool,
    /// Its vault is locked, and its end has not come: only that end removes it (WORM).
    pub(crate) is_locked: bool,
    /// What was decided about it when another one was complete (RET-17): it counts no more.
    pub(crate) decided: Option<RemoveReason>,
}

/// What can be done with a backup now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    /// It is complete and nobody uses it.
    Idle,
    /// It failed.
    Failed,
    /// It is being made, restored or deleted.
    Busy,
}

/// The rule a vault's backups are under.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Governing<'r> {
    /// That of the policy that works for the vault.
    Policy(&'r Retention),
    /// The policy is switched off: nothing it made goes (POL-56).
    Disabled,
    /// There is none: only stamps count (POL-52, POL-53).
    Nothing,
}

/// What happens to a backup now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It stays.
    Keep(KeepReason),
    /// It goes.
    Remove(RemoveReason),
}

/// Why a backup stays (TRB-14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeepReason {
    /// Somebody made it by hand; no policy removes it (RET-11).
    Manual,
    /// The policy is switched off (POL-56).
    PolicyDisabled,
    /// No policy works for the vault, and it has no end of its own (POL-53).
    NoPolicy,
    /// It is being made, restored or deleted.
    Busy,
    /// An image was made of it (RET-12).
    Image,
    /// Somebody wants it kept, or has taken it back from the trash.
    Held,
    /// A backup of its resource looks suspicious; nothing of it goes until somebody confirms that.
    Suspected,
    /// Its vault is locked.
    Locked,
    /// It failed less than a month ago (RET-13).
    Failed,
    /// Its end has not come.
    NotExpired,
    /// It has no end, and the present rule goes by time: it was made under another (RET-31).
    OtherRule,
    /// Nothing is removed by itself (RET-10).
    Forever,
    /// It is one of the newest.
    Newest,
    /// It is the last one of its day, week, month or year (RET-06).
    LastOf(CalendarPeriod),
    /// Backups of its day are kept until then.
    KeptLonger {
        /// When that ends.
        until: Timestamp,
    },
}

/// What happens to each of these backups at `now`, in their order.
pub(crate) fn plan(
    candidates: &[Candidate],
    governing: Governing<'_>,
    now: Timestamp,
) -> Vec<Verdict> {
    let mut by_resource: BTreeMap<ResourceId, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_resource.entry(candidate.resource).or_default().push(candidate);
    }
    let sights: BTreeMap<ResourceId, Sight> = by_resource
        .into_iter()
        .map(|(resource, backups)| (resource, Sight::of(&backups, governing, now)))
        .collect();
    candidates
        .iter()
        .map(|candidate| sights[&candidate.resource].verdict(candidate, governing, now))
        .collect()
}

/// What the check after a complete backup decides (RET-17, RET-36): these count no more. One that
/// failed is no reason to remove backups that are good (VLT-84).
pub(crate) fn newly_expired(
    candidates: &[Candidate],
    governing: Governing<'_>,
    now: Timestamp,
    is_success: bool,
) -> Vec<(BackupId, RemoveReason)> {
    let verdicts = plan(candidates, governing, now);
    let decided = |(candidate, verdict): (&Candidate, Verdict)| match verdict {
        Verdict::Remove(rule @ RemoveReason::TooMany) if is_success => Some((candidate.id, rule)),
        Verdict::Remove(rule @ RemoveReason::FailedTooMany) => Some((candidate.id, rule)),
        _ => None,
    };
    let open = candidates.iter().zip(verdicts).filter(|(one, _)| one.decided.is_none());
    open.filter_map(decided).collect()
}

/// Which backups may be deleted at `now`, and why (RET-18): those whose own end has come, and those
/// that were decided about. What would go after the next complete backup only is not among them.
pub(crate) fn deletable(
    candidates: &[Candidate],
    governing: Governing<'_>,
    now: Timestamp,
) -> Vec<(BackupId, RemoveReason)> {
    use RemoveReason::{Expired, FailedTooOld};
    let verdicts = plan(candidates, governing, now);
    let due = |(candidate, verdict): (&Candidate, Verdict)| match verdict {
        Verdict::Remove(rule)
            if candidate.decided.is_some() || matches!(rule, Expired | FailedTooOld) =>
        {
            Some((candidate.id, rule))
        }
        _ => None,
    };
    candidates.iter().zip(verdicts).filter_map(due).collect()
}

/// What of one resource's backups can be seen only by looking at all of them.
#[derive(Default)]
struct Sight {
    newest: BTreeSet<BackupId>,
    last_of: BTreeMap<BackupId, CalendarPeriod>,
    newest_failed: BTreeSet<BackupId>,
}

impl Sight {
    fn of(backups: &[&Candidate], governing: Governing<'_>, now: Timestamp) -> Self {
        let Governing::Policy(retention) = governing else { return Self::default() };
        let newest_first = |condition| {
            let mut found: Vec<&Candidate> = backups
                .iter()
                .copied()
                .filter(|backup| backup.is_automatic && backup.state == condition)
                .filter(|backup| !backup.has_image && !backup.is_held && backup.decided.is_none())
                .filter(|backup| !is_over(backup, now))
                .collect();
            found.sort_by_key(|backup| std::cmp::Reverse((backup.created_at, backup.id)));
            found
        };
        let counted = newest_first(Condition::Idle);
        let count = match retention.base {
            Base::Newest(count) => count as usize,
            Base::Days(_) | Base::Forever => 0,
        };
        let mut last_of = BTreeMap::new();
        for (unit, count) in &retention.long_term {
            let mut periods = BTreeSet::new();
            for backup in &counted {
                let is_last = periods.insert(retention.period_of(backup.created_at, *unit));
                if periods.len() > *count as usize {
                    break;
                }
                if is_last {
                    last_of.entry(backup.id).or_insert(*unit);
                }
            }
        }
        Self {
            newest: counted.iter().take(count).map(|backup| backup.id).collect(),
            last_of,
            newest_failed: newest_first(Condition::Failed)
                .iter()
                .take(FAILED_MAX)
                .map(|backup| backup.id)
                .collect(),
        }
    }

    fn verdict(&self, backup: &Candidate, governing: Governing<'_>, now: Timestamp) -> Verdict {
        use KeepReason as K;
        use RemoveReason as R;
        use Verdict::{Keep, Remove};
        if backup.state == Condition::Busy {
            return Keep(K::Busy);
        }
        if backup.has_image {
            return Keep(K::Image);
        }
        if backup.is_held {
            return Keep(K::Held);
        }
        if backup.is_suspected {
            return Keep(K::Suspected);
        }
        if !backup.is_automatic {
            // Who made it may have said until when; that is no rule of a policy.
            return if is_over(backup, now) { Remove(R::Expired) } else { Keep(K::Manual) };
        }
        if matches!(governing, Governing::Disabled) {
            return Keep(K::PolicyDisabled);
        }
        if backup.state == Condition::Failed {
            return self.of_failed(backup, governing, now);
        }
        if is_over(backup, now) {
            return Remove(R::Expired);
        }
        match governing {
            Governing::Policy(retention) => self.under(retention, backup, now),
            _ if backup.expired_at.is_some() => Keep(K::NotExpired),
            _ => Keep(K::NoPolicy),
        }
    }

    fn under(&self, retention: &Retention, backup: &Candidate, now: Timestamp) -> Verdict {
        use KeepReason as K;
        use Verdict::{Keep, Remove};
        let longer = || retention.kept_longer_until(backup.created_at).filter(|end| *end > now);
        if let Some(rule) = backup.decided {
            return match longer() {
                _ if backup.is_locked => Keep(K::Locked),
                Some(until) => Keep(K::KeptLonger { until }),
                None => Remove(rule),
            };
        }
        match retention.base {
            Base::Newest(_) => {
                if self.newest.contains(&backup.id) {
                    Keep(K::Newest)
                } else if let Some(unit) = self.last_of.get(&backup.id) {
                    Keep(K::LastOf(*unit))
                } else if let Some(until) = longer() {
                    Keep(K::KeptLonger { until })
                } else if backup.is_locked {
                    Keep(K::Locked)
                } else {
                    Remove(RemoveReason::TooMany)
                }
            }
            _ if backup.expired_at.is_some() => Keep(K::NotExpired),
            Base::Days(_) => Keep(K::OtherRule),
            Base::Forever => Keep(K::Forever),
        }
    }

    fn of_failed(&self, backup: &Candidate, governing: Governing<'_>, now: Timestamp) -> Verdict {
        let end = plus_months(backup.created_at, FAILED_MONTHS, UtcOffset::default());
        if end <= now {
            return Verdict::Remove(RemoveReason::FailedTooOld);
        }
        let is_extra = backup.decided.is_some() || !self.newest_failed.contains(&backup.id);
        if matches!(governing, Governing::Policy(_)) && is_extra {
            return Verdict::Remove(RemoveReason::FailedTooMany);
        }
        Verdict::Keep(KeepReason::Failed)
    }
}

fn is_over(backup: &Candidate, now: Timestamp) -> bool {
    backup.expired_at.is_some_and(|end| end <= now)
}
