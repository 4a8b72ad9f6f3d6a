//! The guide's worked examples as tests: policy A backs one disk up daily at 02:00; August 2024.

use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::retention::{CalendarPeriod, Retention, plus_months};
use cbr_model::policy::zone::UtcOffset;
use cbr_model::retention::RemoveReason;
use cbr_model::{BackupId, ResourceId, Timestamp};
use uuid::Uuid;

use super::plan::{Candidate, Condition, Governing, KeepReason, Verdict, plan};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2024-07-31T00:00:00Z: day 0 of August.
const JULY_31: Timestamp = Timestamp(1_722_384_000_000_000);

/// A day of August (or, above 31, later) and an hour.
fn at(day: i64, hour: i64) -> Timestamp {
    JULY_31.plus_seconds(day * DAY + hour * HOUR)
}

fn retention(json: &str) -> Retention {
    let definition: OperationDefinition = serde_json::from_str(json).unwrap();
    Retention::read(&definition).unwrap()
}

fn keep(count: u32) -> Rule {
    Rule::Policy(retention(&format!(r#"{{"max_backups":{count}}}"#)))
}

fn days(days: u32) -> Rule {
    Rule::Policy(retention(&format!(r#"{{"retention_duration_days":{days}}}"#)))
}

/// A rule in force.
#[derive(Clone)]
enum Rule {
    Policy(Retention),
    /// "1 month" of the guide, by the calendar (RET-19); the wire knows days only.
    Months(u32),
    Disabled,
    Nothing,
}

impl Rule {
    fn stamp(&self, created: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Policy(retention) => retention.expires_at(created),
            Self::Months(months) => Some(plus_months(created, *months, UtcOffset::default())),
            Self::Disabled | Self::Nothing => None,
        }
    }

    fn plan(&self, backups: &[Candidate], now: Timestamp) -> Vec<Verdict> {
        let by_time = retention(r#"{"retention_duration_days":1}"#);
        let governing = match self {
            Self::Policy(retention) => Governing::Policy(retention),
            Self::Months(_) => Governing::Policy(&by_time),
            Self::Disabled => Governing::Disabled,
            Self::Nothing => Governing::Nothing,
        };
        plan(backups, governing, now)
    }
}

/// The disk's backups as time goes by.
struct Disk {
    rule: Rule,
    now: Timestamp,
    backups: Vec<Candidate>,
}

impl Disk {
    fn with(rule: Rule, now: Timestamp) -> Self {
        Self { rule, now, backups: Vec::new() }
    }

    fn add(&mut self, created_at: Timestamp, is_automatic: bool) -> BackupId {
        let number = self.backups.len() as u128 + 1;
        let id = BackupId::from_uuid(Uuid::from_u128(created_at.0.cast_unsigned().into()));
        let id = if is_automatic { id } else { BackupId::from_uuid(Uuid::from_u128(number)) };
        self.backups.push(Candidate {
            id,
            resource: ResourceId::from_uuid(Uuid::from_u128(1)),
            created_at,
            expired_at: self.rule.stamp(created_at).filter(|_| is_automatic),
            is_automatic,
            state: Condition::Idle,
            has_image: false,
            is_held: false,
            is_suspected: false,
            is_locked: false,
            decided: None,
        });
        id
    }

    /// RET-17, RET-36: the check after each completed backup.
    fn check(&mut self, now: Timestamp) {
        let mut verdicts = self.rule.plan(&self.backups, now).into_iter();
        self.backups.retain(|_| matches!(verdicts.next(), Some(Verdict::Keep(_))));
    }

    /// Time passes; there is a backup at every 02:00.
    fn until(&mut self, end: Timestamp) -> &mut Self {
        let mut next = JULY_31.plus_seconds(2 * HOUR);
        while next <= end {
            if next > self.now {
                self.add(next, true);
                self.check(next);
            }
            next = next.plus_seconds(DAY);
        }
        self.now = end;
        self
    }

    fn by_hand(&mut self, when: Timestamp) -> BackupId {
        let id = self.add(when, false);
        self.check(when);
        id
    }

    /// The days of August of the automatic backups that are there and whose end has not come
    /// (RET-18: the logical state).
    fn days(&self) -> Vec<i64> {
        let verdicts = self.rule.plan(&self.backups, self.now);
        self.backups
            .iter()
            .zip(verdicts)
            .filter(|(backup, verdict)| {
                backup.is_automatic && *verdict != Verdict::Remove(RemoveReason::Expired)
            })
            .map(|(backup, _)| backup.created_at.micros_since(JULY_31) / (DAY * 1_000_000))
            .collect()
    }
}

/// RET-T1: Monday the 5th, 10:00: count 3; with the corrected expectation of Z-07, at both instants.
#[test]
fn t1_the_newest_three_are_kept() {
    let mut disk = Disk::with(keep(3), at(5, 10));
    assert_eq!(disk.until(at(9, 11)).days(), [7, 8, 9]);
    assert_eq!(disk.until(at(10, 11)).days(), [8, 9, 10]);
}

/// RET-T2, RET-30, RET-36: count 3 → count 1, with and without a manual backup after the change.
#[test]
fn t2_a_smaller_number_counts_old_backups_after_the_next_backup() {
    let mut disk = Disk::with(keep(3), at(5, 10));
    assert_eq!(disk.until(at(8, 10)).days(), [6, 7, 8]);
    disk.rule = keep(1);
    let manual = disk.by_hand(at(8, 11));
    assert_eq!(disk.days(), [8]);
    assert!(disk.backups.iter().any(|backup| backup.id == manual), "never by a policy (RET-11)");

    let mut disk = Disk::with(keep(3), at(5, 10));
    disk.until(at(8, 10)).rule = keep(1);
    assert_eq!(disk.days(), [6, 7, 8], "not before a backup is complete");
    assert_eq!(disk.until(at(9, 3)).days(), [9]);
}

/// RET-T3, RET-31: count 3 → 1 month: old ones are never removed, the new one on 9 September.
#[test]
fn t3_what_a_number_kept_a_time_never_ends() {
    let mut disk = Disk::with(keep(3), at(5, 10));
    disk.until(at(8, 10)).rule = Rule::Months(1);
    assert_eq!(disk.until(at(9, 3)).days(), [6, 7, 8, 9]);
    let september_9 = at(31 + 9, 2);
    assert_eq!(disk.backups[3].expired_at, Some(september_9));
    disk.now = september_9;
    assert_eq!(disk.days(), [6, 7, 8]);
}

/// RET-T4, RET-32: 1 month → 3 months: old ones keep their end.
#[test]
fn t4_a_longer_time_is_for_new_backups_only() {
    let mut disk = Disk::with(Rule::Months(1), at(5, 10));
    disk.until(at(8, 10)).rule = Rule::Months(3);
    disk.until(at(9, 10));
    for (now, expected) in [
        (at(31 + 6, 1), &[6, 7, 8, 9][..]),
        (at(31 + 6, 2), &[7, 8, 9]),
        (at(31 + 7, 2), &[8, 9]),
        (at(31 + 8, 2), &[9]),
        // 9 November 01:00 and 02:00.
        (at(31 + 30 + 31 + 9, 1), &[9]),
        (at(31 + 30 + 31 + 9, 2), &[]),
    ] {
        disk.now = now;
        assert_eq!(disk.days(), expected);
    }
}

/// RET-T5, RET-33, Z-03: 1 month → count 7: the number bites first.
#[test]
fn t5_the_number_removes_what_has_an_end_as_well() {
    let mut disk = Disk::with(Rule::Months(1), at(5, 10));
    disk.until(at(8, 10)).rule = keep(7);
    assert_eq!(disk.until(at(15, 10)).days(), [9, 10, 11, 12, 13, 14, 15]);
}

/// RET-T6, RET-33, RET-34, Z-04: 3 days → count 7: the end bites first.
#[test]
fn t6_an_end_once_stamped_comes_although_a_number_would_keep_it() {
    let mut disk = Disk::with(days(3), at(5, 10));
    disk.until(at(8, 10)).rule = keep(7);
    assert_eq!(disk.until(at(10, 1)).days(), [7, 8, 9], "the 6th ended on the 9th at 02:00");
    assert_eq!(disk.until(at(10, 10)).days(), [8, 9, 10]);
}

/// RET-T7, RET-06, RET-07, RET-08: daily 5 + weekly 1, several a day: exactly the last of 5 days.
#[test]
fn t7_the_last_backups_of_five_days_hold_that_of_the_week() {
    let rule =
        retention(r#"{"max_backups":1,"day_backups":5,"week_backups":1,"timezone":"UTC+00:00"}"#);
    let mut disk = Disk::with(Rule::Policy(rule), at(1, 0));
    for day in 1..=14 {
        for hour in [2, 10, 22] {
            disk.add(at(day, hour), true);
            disk.check(at(day, hour));
        }
    }
    let kept: Vec<Timestamp> = disk.backups.iter().map(|backup| backup.created_at).collect();
    assert_eq!(kept, [10, 11, 12, 13, 14].map(|day| at(day, 22)));
    let verdicts = disk.rule.plan(&disk.backups, at(14, 23));
    assert_eq!(verdicts[0], Verdict::Keep(KeepReason::LastOf(CalendarPeriod::Day)));
    assert_eq!(verdicts[4], Verdict::Keep(KeepReason::Newest));
}

/// RET-05, RET-09: the rules are united; days without a backup do not count.
#[test]
fn rules_for_long_are_united_and_count_only_days_that_have_a_backup() {
    let rule = retention(
        r#"{"max_backups":2,"week_backups":2,"month_backups":3,"year_backups":1,"timezone":"UTC+00:00"}"#,
    );
    let mut disk = Disk::with(Rule::Policy(rule), at(1, 0));
    // Two in July (Wednesday the 31st), and Mondays from 5 August to 2 September.
    let days = [0, 5, 12, 19, 26, 33];
    for day in days {
        disk.add(at(day, 2), true);
    }
    disk.check(at(33, 3));
    // The newest two (26th, 2nd), two weeks (the same), the last of July, August, September.
    assert_eq!(disk.days(), [0, 26, 33]);
}

/// RET-T9, RET-13.
#[test]
fn t9_ten_failed_backups_are_kept_for_a_month() {
    let mut disk = Disk::with(keep(3), at(1, 0));
    for day in 1..=11 {
        disk.add(at(day, 2), true);
    }
    for backup in &mut disk.backups {
        backup.state = Condition::Failed;
    }
    let verdicts = disk.rule.plan(&disk.backups, at(12, 0));
    assert_eq!(verdicts[0], Verdict::Remove(RemoveReason::FailedTooMany));
    assert!(verdicts[1..].iter().all(|v| *v == Verdict::Keep(KeepReason::Failed)));
    let verdicts = disk.rule.plan(&disk.backups, at(31 + 11, 2));
    assert!(verdicts.iter().all(|v| *v == Verdict::Remove(RemoveReason::FailedTooOld)));
    let verdicts = Rule::Disabled.plan(&disk.backups, at(31 + 11, 2));
    assert!(verdicts.iter().all(|v| *v == Verdict::Keep(KeepReason::PolicyDisabled)));
}

/// RET-T10, POL-52, POL-53: without a policy ends still come, and numbers do not.
#[test]
fn t10_an_unbound_vault_knows_only_ends() {
    let mut by_time = Disk::with(days(3), at(5, 10));
    by_time.until(at(8, 10)).rule = Rule::Nothing;
    by_time.now = at(10, 3);
    assert_eq!(by_time.days(), [8]);
    let mut by_count = Disk::with(keep(1), at(5, 10));
    by_count.until(at(6, 10)).rule = Rule::Nothing;
    by_count.add(at(7, 2), true);
    by_count.check(at(100, 0));
    assert_eq!(by_count.days(), [6, 7]);
}

/// RET-T11, POL-56, Z-06: a policy that is switched off removes nothing; on again, it does.
#[test]
fn t11_a_disabled_policy_removes_nothing() {
    for rule in [keep(1), days(1)] {
        let mut disk = Disk::with(rule.clone(), at(5, 10));
        disk.add(at(6, 2), true);
        disk.add(at(7, 2), true);
        disk.rule = Rule::Disabled;
        disk.check(at(20, 0));
        disk.now = at(20, 0);
        assert_eq!(disk.days(), [6, 7]);
        disk.rule = rule;
        disk.check(at(20, 0));
        assert!(disk.days().len() < 2);
    }
}

/// RET-T12, RET-12: a backup with an image neither counts nor goes; without it, it counts again.
#[test]
fn t12_a_backup_with_an_image_does_not_count() {
    let mut disk = Disk::with(keep(3), at(5, 10));
    disk.until(at(6, 10)).backups[0].has_image = true;
    assert_eq!(disk.until(at(10, 10)).days(), [6, 8, 9, 10]);
    disk.backups[0].has_image = false;
    assert_eq!(disk.until(at(11, 10)).days(), [9, 10, 11]);
}

/// RET-T16, RET-10: for ever, and 99999 days, end nothing within a year.
#[test]
fn t16_for_ever_and_99999_days_keep_everything_for_a_year() {
    let forever = Rule::Policy(retention("{}"));
    for rule in [forever, days(99_999)] {
        let mut disk = Disk::with(rule, at(5, 10));
        assert_eq!(disk.until(at(5 + 365, 10)).days().len(), 365);
    }
}

/// RET-03: the number is that of each resource; what is at work is left alone (Y.2).
#[test]
fn each_resource_is_counted_by_itself_and_what_is_busy_stays() {
    let mut disk = Disk::with(keep(1), at(5, 10));
    for day in [6, 7, 8] {
        disk.add(at(day, 2), true);
    }
    disk.backups[0].resource = ResourceId::from_uuid(Uuid::from_u128(2));
    disk.backups[1].state = Condition::Busy;
    let verdicts = disk.rule.plan(&disk.backups, at(9, 0));
    let newest = Verdict::Keep(KeepReason::Newest);
    assert_eq!(verdicts, [newest, Verdict::Keep(KeepReason::Busy), newest]);
}

/// Contract C23: a manual backup that was given a time ends with it, whatever the policy says.
#[test]
fn a_manual_backup_ends_only_when_it_was_told_to() {
    let mut disk = Disk::with(keep(1), at(5, 10));
    disk.add(at(6, 3), false);
    disk.add(at(6, 4), false);
    disk.backups[1].expired_at = Some(at(7, 4));
    let verdicts = disk.rule.plan(&disk.backups, at(7, 4));
    let expected = [Verdict::Keep(KeepReason::Manual), Verdict::Remove(RemoveReason::Expired)];
    assert_eq!(verdicts, expected);
}

/// RET-12, RET-18: what was decided about counts no more; a hold keeps a backup and takes it out of the
/// count; a locked vault's backups go by their own end only.
#[test]
fn holds_and_locks_keep_and_what_was_decided_counts_no_more() {
    use super::plan::{deletable, newly_expired};
    let mut disk = Disk::with(keep(2), at(5, 10));
    for day in 6..=10 {
        disk.add(at(day, 2), true);
    }
    disk.backups[1].is_held = true;
    disk.backups[2].is_locked = true;
    let Rule::Policy(retention) = &disk.rule else { unreachable!() };
    let governing = Governing::Policy(retention);
    let now = at(10, 3);
    let decided = newly_expired(&disk.backups, governing, now, true);
    assert_eq!(decided, [(disk.backups[0].id, RemoveReason::TooMany)]);
    assert_eq!(newly_expired(&disk.backups, governing, now, false), [], "VLT-84");
    assert_eq!(deletable(&disk.backups, governing, now), [], "not before it was decided");
    let mut decided = disk.backups.clone();
    decided[0].decided = Some(RemoveReason::TooMany);
    assert_eq!(deletable(&decided, governing, now), [(decided[0].id, RemoveReason::TooMany)]);
    assert_eq!(deletable(&decided, Governing::Disabled, now), [], "POL-56");
    assert_eq!(deletable(&decided, Governing::Nothing, now), [], "POL-53");
    let verdicts = disk.rule.plan(&disk.backups, now);
    assert_eq!(verdicts[1], Verdict::Keep(KeepReason::Held));
    assert_eq!(verdicts[2], Verdict::Keep(KeepReason::Locked));
}
