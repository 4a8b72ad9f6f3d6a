//! The guide's worked examples through the service: policy A backs one disk up daily at 02:00; August
//! 2024. What is there is the logical state (RET-18); what is deleted is looked at as well.

use std::collections::BTreeMap;

use cbr_env::{RandomExt as _, SeededRandom};
use cbr_model::Timestamp;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::policy::Policy;
use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::run::RunState;
use cbr_model::retention::{Hold, HoldKind, RemoveReason};
use cbr_model::vault::{Vault, VaultKind};
use cbr_provider::fake::{Fault as Break, Operation};

use super::schedules::{every_day, wanted};
use super::world::{SECOND_VOLUME, VOLUME, World, id};
use crate::policies::{KeepReason, PolicyChange, PreviewRequest, Verdict};
use crate::retention::{Cleanup, Expiry};
use crate::vaults::VaultChange;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2024-07-31T00:00:00Z: day 0 of August.
const JULY_31: Timestamp = Timestamp(1_722_384_000_000_000);

/// A day of August (or, above 31, later) and an hour.
fn at(day: i64, hour: i64) -> Timestamp {
    JULY_31.plus_seconds(day * DAY + hour * HOUR)
}

/// A disk with its vault and policy as time goes by.
struct Disk {
    world: World,
    vault: Vault,
    policy: Policy,
    hours: Vec<i64>,
}

impl Disk {
    /// Monday the 5th, 10:00.
    async fn with(definition: &str) -> Self {
        Self::running(&[2], definition).await
    }

    async fn running(hours: &[i64], definition: &str) -> Self {
        let world = World::new().await;
        world.clock.set(at(5, 10));
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let text: Vec<String> = hours.iter().map(i64::to_string).collect();
        let policy = world.policy(&vault, wanted(every_day(&text.join(",")), definition)).await;
        Self { world, vault, policy, hours: hours.to_vec() }
    }

    /// Time passes: sweeps at each time of the policy, and in each afternoon.
    async fn until(&self, end: Timestamp) {
        let now = self.world.access_now();
        let first = now.micros_since(JULY_31) / (DAY * 1_000_000);
        let last = end.micros_since(JULY_31) / (DAY * 1_000_000);
        for day in first..=last {
            let mut times: Vec<i64> = self.hours.clone();
            times.push(13);
            times.sort_unstable();
            for hour in times {
                let time = at(day, hour);
                if time > now && time <= end {
                    self.world.sweep_at(time).await;
                    self.world.services.expiry.sweep().await.unwrap();
                    self.world.settle().await;
                }
            }
        }
        self.world.clock.set(end);
    }

    async fn change(&self, definition: &str) {
        let definition = Some(serde_json::from_str::<OperationDefinition>(definition).unwrap());
        let change = PolicyChange { definition, ..PolicyChange::default() };
        self.world.change_policy(&self.policy, change).await;
    }

    async fn by_hand(&self, time: Timestamp) -> Backup {
        self.world.clock.set(time);
        let backup = self.world.back_up(&self.vault).await;
        self.world.clock.set(time);
        backup
    }

    async fn preview(&self, days: u32) -> Vec<crate::policies::Previewed> {
        let request = PreviewRequest { days, ..PreviewRequest::default() };
        let preview =
            self.world.services.policies.preview(&self.world.access, self.vault.id, &request).await;
        preview.unwrap().backups
    }

    /// Days of August of the automatic backups that count as there: neither ended nor decided about.
    async fn days(&self) -> Vec<i64> {
        let (mut tx, now) = (self.world.db.read().await.unwrap(), self.world.access_now());
        let found = tx.retention().of_resource(self.vault.id, id(VOLUME)).await.unwrap();
        let is_there = |end: Option<Timestamp>| end.is_none_or(|end| end > now);
        found
            .into_iter()
            .filter(|one| one.auto_trigger && one.decided.is_none() && is_there(one.expired_at))
            .map(|one| one.created_at.micros_since(JULY_31) / (DAY * 1_000_000))
            .collect()
    }

    /// Days of August of all that is stored.
    async fn stored(&self) -> Vec<i64> {
        let mut backups = self.world.backups().await;
        backups.sort_by_key(|backup| backup.created_at);
        let day = |backup: &Backup| backup.created_at.micros_since(JULY_31) / (DAY * 1_000_000);
        backups.iter().map(day).collect()
    }
}

impl World {
    pub(super) fn access_now(&self) -> Timestamp {
        use cbr_env::Clock as _;
        self.clock.now()
    }
}

/// RET-T1, RET-03, RET-14, RET-18, Z-07: count 3, at both instants; deleted in the afternoon.
#[tokio::test]
async fn ret_t1_the_newest_three_are_kept() {
    let disk = Disk::with(r#"{"max_backups":3}"#).await;
    disk.until(at(9, 11)).await;
    assert_eq!(disk.days().await, [7, 8, 9]);
    assert_eq!(disk.stored().await, [6, 7, 8, 9], "the window opens at noon (RET-16)");
    disk.until(at(10, 11)).await;
    assert_eq!(disk.days().await, [8, 9, 10]);
    assert_eq!(disk.stored().await, [7, 8, 9, 10]);
}

/// POL-31, RET-T2, RET-11, RET-17, RET-30, RET-36, BAK-76: count 3 to 1, with and without a manual
/// backup.
#[tokio::test]
async fn ret_t2_a_smaller_number_counts_after_the_next_backup() {
    let disk = Disk::with(r#"{"max_backups":3}"#).await;
    disk.until(at(8, 10)).await;
    assert_eq!(disk.days().await, [6, 7, 8]);
    disk.change(r#"{"max_backups":1}"#).await;
    assert_eq!(disk.days().await, [6, 7, 8], "not before a backup is complete");
    let manual = disk.by_hand(at(8, 11)).await;
    assert_eq!(disk.days().await, [8]);
    disk.until(at(9, 14)).await;
    assert_eq!(disk.world.state(manual.id).await.as_str(), "available");

    let disk = Disk::with(r#"{"max_backups":3}"#).await;
    disk.until(at(8, 10)).await;
    disk.change(r#"{"max_backups":1}"#).await;
    disk.until(at(9, 3)).await;
    assert_eq!(disk.days().await, [9]);
}

/// RET-T3, RET-31: count 3 to 31 days: old ones are never removed, the new one 31 days later.
#[tokio::test]
async fn ret_t3_what_a_number_kept_a_time_never_ends() {
    let disk = Disk::with(r#"{"max_backups":3}"#).await;
    disk.until(at(8, 10)).await;
    disk.change(r#"{"retention_duration_days":31}"#).await;
    disk.until(at(9, 3)).await;
    assert_eq!(disk.days().await, [6, 7, 8, 9]);
    disk.world.enable(&disk.policy, false).await;
    disk.until(at(31 + 9, 1)).await;
    disk.world.enable(&disk.policy, true).await;
    assert_eq!(disk.days().await, [6, 7, 8, 9]);
    disk.until(at(31 + 9, 2)).await;
    let there: Vec<i64> = disk.days().await.into_iter().filter(|day| *day < 31).collect();
    assert_eq!(there, [6, 7, 8], "9 September, 02:00");
}

/// RET-35: what was kept for ever counts like any when a number comes, also a long-term one, and never ends
/// when a time comes: that is for new ones.
#[tokio::test]
async fn what_was_for_ever_counts_under_a_number_and_stays_under_a_time() {
    for (definition, kept) in [
        (r#"{"max_backups":1}"#, vec![9]),
        (r#"{"max_backups":1,"day_backups":2,"timezone":"UTC+00:00"}"#, vec![8, 9]),
        (r#"{"retention_duration_days":2}"#, vec![6, 7, 8, 9]),
    ] {
        let disk = Disk::with(r#"{"retention_duration_days":-1}"#).await;
        disk.until(at(8, 10)).await;
        disk.change(definition).await;
        assert_eq!(disk.days().await, [6, 7, 8], "{definition}");
        disk.until(at(9, 14)).await;
        assert_eq!(disk.days().await, kept, "{definition}");
    }
}

/// RET-T4, RET-20, RET-32: a longer time is for new backups only.
#[tokio::test]
async fn ret_t4_a_longer_time_is_for_new_backups_only() {
    let disk = Disk::with(r#"{"retention_duration_days":31}"#).await;
    disk.until(at(8, 10)).await;
    disk.change(r#"{"retention_duration_days":92}"#).await;
    disk.until(at(9, 10)).await;
    disk.world
        .services
        .policies
        .unbind(&disk.world.access, disk.vault.id, disk.policy.id)
        .await
        .unwrap();
    for (now, expected) in [
        (at(31 + 6, 1), &[6, 7, 8, 9][..]),
        (at(31 + 6, 2), &[7, 8, 9]),
        (at(31 + 7, 2), &[8, 9]),
        (at(31 + 8, 2), &[9]),
        (at(31 + 30 + 31 + 9, 1), &[9]),
        (at(31 + 30 + 31 + 9, 2), &[]),
    ] {
        disk.until(now).await;
        assert_eq!(disk.days().await, expected, "{now:?}");
    }
    disk.until(at(31 + 30 + 31 + 9, 14)).await;
    assert_eq!(disk.stored().await, [0_i64; 0], "and all of them are deleted");
}

/// RET-T5, RET-33, Z-03: time to count: the number bites first.
#[tokio::test]
async fn ret_t5_the_number_removes_what_has_an_end_as_well() {
    let disk = Disk::with(r#"{"retention_duration_days":31}"#).await;
    disk.until(at(8, 10)).await;
    disk.change(r#"{"max_backups":7}"#).await;
    disk.until(at(15, 10)).await;
    assert_eq!(disk.days().await, [9, 10, 11, 12, 13, 14, 15]);
}

/// RET-T6, RET-33, RET-34, Z-04: time to count: the end bites first.
#[tokio::test]
async fn ret_t6_an_end_once_stamped_comes_although_a_number_would_keep_it() {
    let disk = Disk::with(r#"{"retention_duration_days":3}"#).await;
    disk.until(at(8, 10)).await;
    disk.change(r#"{"max_backups":7}"#).await;
    disk.until(at(10, 10)).await;
    assert_eq!(disk.days().await, [8, 9, 10]);
}

/// RET-T7, RET-06, RET-07, RET-08: daily 5 and weekly 1, several a day: the last of each of 5 days.
#[tokio::test]
async fn ret_t7_the_last_backups_of_five_days_hold_that_of_the_week() {
    let definition = r#"{"max_backups":1,"day_backups":5,"week_backups":1,"timezone":"UTC+00:00"}"#;
    let disk = Disk::running(&[2, 10, 22], definition).await;
    disk.until(at(14, 23)).await;
    assert_eq!(disk.days().await, [10, 11, 12, 13, 14]);
    let kept: Vec<_> = disk.world.backups().await.iter().map(|one| one.created_at).collect();
    let last = [14, 13, 12, 11, 10].map(|day| at(day, 22));
    assert!(last.iter().all(|time| kept.contains(time)), "{kept:?}");
}

/// RET-T9, RET-13: eleven failed ones: ten stay, and none after a month; good ones are not counted down
/// by them (VLT-84).
#[tokio::test]
async fn ret_t9_ten_failed_backups_are_kept_for_a_month() {
    let disk = Disk::with(r#"{"max_backups":1}"#).await;
    disk.until(at(6, 3)).await;
    disk.world.provider.fail(Operation::Open, 11, Break::Refused);
    disk.until(at(17, 3)).await;
    let failed = async || {
        let all = disk.world.backups().await;
        all.iter().filter(|one| matches!(one.state, BackupState::Error { .. })).count()
    };
    disk.until(at(17, 14)).await;
    assert_eq!(failed().await, 10);
    assert_eq!(disk.stored().await[0], 6, "the good one is the newest good one");
    disk.until(at(31 + 17, 14)).await;
    assert_eq!(failed().await, 0, "the last of them is a month old");
}

/// RET-T10, POL-52, POL-53: unbound: ends still come, numbers count no more.
#[tokio::test]
async fn ret_t10_an_unbound_vault_knows_only_ends() {
    for (definition, expected) in
        [(r#"{"retention_duration_days":3}"#, &[][..]), (r#"{"max_backups":3}"#, &[6, 7, 8][..])]
    {
        let disk = Disk::with(definition).await;
        disk.until(at(8, 10)).await;
        let unbound =
            disk.world.services.policies.unbind(&disk.world.access, disk.vault.id, disk.policy.id);
        unbound.await.unwrap();
        disk.until(at(20, 14)).await;
        assert_eq!(disk.stored().await, expected, "{definition}");
    }
}

/// RET-T11, POL-56, Z-06: switched off nothing goes, also what was decided about; on again, it does.
#[tokio::test]
async fn ret_t11_a_disabled_policy_removes_nothing() {
    for definition in [r#"{"retention_duration_days":1}"#, r#"{"max_backups":1}"#] {
        let disk = Disk::with(definition).await;
        disk.until(at(7, 10)).await;
        disk.world.enable(&disk.policy, false).await;
        disk.until(at(20, 14)).await;
        assert_eq!(disk.stored().await, [6, 7], "{definition}");
        disk.world.enable(&disk.policy, true).await;
        disk.until(at(21, 14)).await;
        assert_eq!(disk.stored().await, [21], "{definition}");
    }
}

/// RET-T12, RET-12: an image keeps a backup and takes it out of the count; without it, it counts again.
#[tokio::test]
async fn ret_t12_a_backup_with_an_image_does_not_count() {
    let disk = Disk::with(r#"{"max_backups":3}"#).await;
    disk.until(at(6, 10)).await;
    let first = disk.world.backups().await.remove(0);
    let mut tx = disk.world.db.begin().await.unwrap();
    let hold = Hold { kind: HoldKind::Image, note: "img".into(), since: tx.now() };
    tx.retention().hold(first.id, &hold).await.unwrap();
    tx.commit().await.unwrap();
    disk.until(at(10, 14)).await;
    assert_eq!(disk.stored().await, [6, 8, 9, 10]);
    let mut tx = disk.world.db.begin().await.unwrap();
    assert!(tx.retention().release(first.id, HoldKind::Image).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(disk.days().await, [6, 8, 9, 10], "at the next check");
    disk.until(at(11, 14)).await;
    assert_eq!(disk.stored().await, [9, 10, 11]);
}

/// RET-15, RET-T13: what retention deletes impairs no other backup: the rest restores, byte for byte.
#[tokio::test]
async fn ret_t13_what_goes_impairs_no_other_backup() {
    let disk = Disk::with(r#"{"max_backups":2}"#).await;
    let mut contents = BTreeMap::new();
    for day in 6..=9 {
        let byte = u8::try_from(day).unwrap();
        disk.world.provider.write(id(VOLUME), 3 << 16, &vec![byte; 70_000]);
        disk.until(at(day, 14)).await;
        contents.insert(day, disk.world.provider.content(id(VOLUME)));
    }
    assert_eq!(disk.stored().await, [8, 9]);
    let mut backups = disk.world.backups().await;
    backups.sort_by_key(|backup| backup.created_at);
    for (backup, day) in backups.iter().zip([8, 9]) {
        super::world::succeeded(&disk.world.restore(backup.id).await.unwrap());
        assert!(disk.world.provider.content(id(VOLUME)) == contents[&day], "of the {day}th");
    }
}

/// RET-T16, RET-10: for ever, and 99999 days, end nothing within a year; the clock goes on by itself.
#[tokio::test]
async fn ret_t16_for_ever_and_99999_days_keep_everything_for_a_year() {
    for definition in ["{}", r#"{"retention_duration_days":99999}"#] {
        let disk = Disk::with(definition).await;
        disk.until(at(8, 10)).await;
        disk.world
            .services
            .policies
            .unbind(&disk.world.access, disk.vault.id, disk.policy.id)
            .await
            .unwrap();
        for month in 1..=12 {
            disk.world.clock.set(at(8 + 31 * month, 13));
            disk.world.services.expiry.sweep().await.unwrap();
            disk.world.clock.set(at(9 + 31 * month, 14));
            disk.world.services.expiry.sweep().await.unwrap();
            disk.world.settle().await;
        }
        assert_eq!(disk.stored().await, [6, 7, 8], "{definition}");
    }
}

/// REP-T1 for the part that one region has: two a day, count 2, bound on Thursday 11:00: on Saturday at
/// noon the two of Saturday are kept, and those of Friday are at their end.
#[tokio::test]
async fn rep_t1_two_a_day_and_two_kept() {
    let disk = Disk::running(&[0, 2], r#"{"max_backups":2}"#).await;
    disk.until(at(10, 11)).await;
    assert_eq!(disk.days().await, [10, 10]);
    disk.until(at(10, 14)).await;
    assert_eq!(disk.stored().await, [10, 10]);
}

/// RET-18, WORM: a locked vault's backups go by their own end only; a hold keeps one whatever happens,
/// and what somebody takes back from the trash is held.
#[tokio::test]
async fn locks_and_holds_keep_what_a_number_would_remove() {
    let disk = Disk::with(r#"{"max_backups":1}"#).await;
    disk.until(at(7, 11)).await;
    let access = &disk.world.access;
    let first = disk.world.backups().await.pop().unwrap();
    let why = disk.world.services.expiry.why(access, first.id).await.unwrap();
    assert_eq!(why.verdict, Verdict::Remove(RemoveReason::TooMany));
    let held = disk.world.services.expiry.hold(access, first.id, "audit".into()).await.unwrap();
    assert_eq!(held.verdict, Verdict::Keep(KeepReason::Held));
    assert_eq!(held.holds[0].note, "audit");
    disk.until(at(8, 14)).await;
    assert_eq!(disk.stored().await, [6, 8]);
    let change = VaultChange { locked: Some(true), ..VaultChange::default() };
    disk.world.services.vaults.update(access, disk.vault.id, change).await.unwrap();
    disk.until(at(10, 14)).await;
    assert_eq!(disk.stored().await, [6, 8, 9, 10]);
    let why = disk.world.services.expiry.release(access, first.id).await.unwrap();
    assert_eq!((why.verdict, why.holds.len()), (Verdict::Keep(KeepReason::Locked), 0));
    let long = disk.world.services.expiry.hold(access, first.id, "x".repeat(256)).await;
    assert!(matches!(long, Err(crate::Error::Invalid { field: "note", .. })));
}

/// P14: a sweep that is repeated, or runs on several nodes, deletes a backup once; a used one waits.
#[tokio::test]
async fn a_repeated_sweep_deletes_once_and_leaves_what_is_used() {
    let disk = Disk::with(r#"{"max_backups":1}"#).await;
    disk.until(at(7, 11)).await;
    let first = disk.world.backups().await.pop().unwrap();
    let access = &disk.world.access;
    disk.world.services.backups.restore(access, first.id, super::world::in_place()).await.unwrap();
    disk.world.clock.set(at(7, 13));
    assert_eq!(disk.world.services.expiry.sweep().await.unwrap(), 0, "it is being restored");
    disk.world.settle().await;
    let nodes = [(); 2].map(|()| Expiry::new(disk.world.core(), Cleanup::default()));
    let (a, b) = tokio::join!(nodes[0].sweep(), nodes[1].sweep());
    assert_eq!(a.unwrap() + b.unwrap(), 1);
    assert_eq!(nodes[0].sweep().await.unwrap(), 0);
    disk.world.settle().await;
    assert_eq!(disk.stored().await, [7]);
}

/// RET-18 `cleanup = immediate`: no window.
#[tokio::test]
async fn without_a_window_it_is_deleted_at_once() {
    let disk = Disk::with(r#"{"max_backups":1}"#).await;
    disk.until(at(7, 3)).await;
    let now = Expiry::new(disk.world.core(), Cleanup::Immediate);
    assert_eq!(now.sweep().await.unwrap(), 1);
    disk.world.settle().await;
    assert_eq!(disk.stored().await, [7]);
}

/// A clock that leaps years ahead deletes nothing: not for a day, and then it has been set right.
#[tokio::test]
async fn a_clock_that_leaps_deletes_nothing() {
    let disk = Disk::with(r#"{"retention_duration_days":30}"#).await;
    disk.until(at(8, 14)).await;
    for (time, what) in [(at(8 + 3650, 13), "ahead"), (at(8, 15), "right again")] {
        disk.world.clock.set(time);
        assert_eq!(disk.world.services.expiry.sweep().await.unwrap(), 0, "{what}");
    }
    assert_eq!(disk.stored().await, [6, 7, 8]);
}

/// RET-17, RET-36: what is decided stays so, and an untrusted clock does not say which backups have ended: what is
/// one too many only if another has not ended is not decided about.
#[tokio::test]
async fn a_clock_that_is_only_a_bound_decides_nothing_that_may_be_wrong() {
    let disk = Disk::with(r#"{"max_backups":2}"#).await;
    disk.until(at(6, 14)).await;
    disk.change(r#"{"retention_duration_days":1}"#).await;
    disk.until(at(7, 3)).await;
    disk.change(r#"{"max_backups":2}"#).await;
    // The second has ended, if the clock is right; what is sure is that it is the 7th, or later.
    let [seen, from, proven] = [at(9, 1), at(30, 0), at(7, 12)].map(|time| time.0);
    let watch = format!(r#"{{"seen":{seen},"trusted_from":{from},"proven":{proven}}}"#);
    let mut tx = disk.world.db.begin().await.unwrap();
    tx.settings().set("retention.clock", &watch).await.unwrap();
    tx.commit().await.unwrap();
    disk.world.sweep_at(at(9, 2)).await;
    assert_eq!(disk.stored().await, [6, 7, 9]);
    let mut tx = disk.world.db.read().await.unwrap();
    let found = tx.retention().of_resource(disk.vault.id, id(VOLUME)).await.unwrap();
    let decided: Vec<_> = found.iter().filter_map(|one| one.decided).collect();
    assert_eq!(decided, [], "two of three, or one of two");
}

/// RET-18: rules for certain days keep until a time, so what they let go, they let go by the clock; a
/// backup that is complete while the clock is wrong decides nothing.
#[tokio::test]
async fn a_clock_that_leaps_ends_no_rule_for_certain_days() {
    let definition = r#"{"max_backups":1,"advanced_retention_rules":{"weekly_retention_rules":
        {"days_of_week":["TU","WE","TH"],"retention_duration_periods":6}}}"#;
    let disk = Disk::with(definition).await;
    disk.until(at(9, 10)).await;
    assert_eq!(disk.stored().await, [6, 7, 8, 9]);
    let ahead = at(9 + 3650, 1);
    disk.by_hand(ahead).await;
    assert_eq!(disk.days().await, [6, 7, 8, 9], "nothing is decided about any of them");
    disk.world.clock.set(at(9 + 3650, 13));
    disk.world.services.expiry.sweep().await.unwrap();
    disk.world.settle().await;
    let found = disk.stored().await;
    assert!([6, 7, 8, 9].iter().all(|day| found.contains(day)), "{found:?}");
    // The clock is right again, and nothing was decided meanwhile.
    disk.until(at(12, 10)).await;
    let found = disk.stored().await;
    assert!([6, 7, 8].iter().all(|day| found.contains(day)), "{found:?}");
}

/// RET-17, RET-18, RET-33: what the preview says about a year comes true, for several rules: each backup
/// goes when, and by the rule, it said; and what it did not name is still there.
#[tokio::test]
async fn the_preview_of_a_year_is_what_happens() {
    previewed(0..1, 365).await;
}

/// The same for the other rules, and less than two months.
#[tokio::test]
async fn the_preview_of_some_weeks_is_what_happens_by_any_rule() {
    previewed(1..5, 50).await;
}

async fn previewed(rounds: std::ops::Range<usize>, length: i64) {
    let random = SeededRandom::new(0x5e7);
    let rules: [&str; 5] = [
        r#"{"max_backups":4}"#,
        r#"{"retention_duration_days":9}"#,
        r#"{"max_backups":2,"day_backups":3,"week_backups":4,"month_backups":5,"year_backups":1,"timezone":"UTC+08:00"}"#,
        "{}",
        r#"{"retention_duration_days":5,"advanced_retention_rules":{"weekly_retention_rules":{"days_of_week":["SU"],"retention_duration_periods":6}}}"#,
    ];
    for round in 0..rounds.end {
        let [first, second, step] = random.bytes::<3>();
        if !rounds.contains(&round) {
            continue;
        }
        let disk = Disk::with(rules[usize::from(first) % rules.len()]).await;
        disk.until(at(5 + 8 + i64::from(step % 5), 10)).await;
        disk.change(rules[(usize::from(second) + round) % rules.len()]).await;
        let now = disk.world.access_now();
        let is_over = |goes: Option<(Timestamp, _)>| goes.is_some_and(|(time, _)| time <= now);
        let said = disk.preview(366).await.into_iter().map(|one| (one.backup.id, one.goes));
        let said: BTreeMap<_, _> = said.filter(|(_, goes)| !is_over(*goes)).collect();
        assert!(!said.is_empty());
        let mut happened: BTreeMap<_, Option<(Timestamp, RemoveReason)>> = BTreeMap::new();
        let start = disk.world.access_now().micros_since(JULY_31) / (DAY * 1_000_000);
        for day in start + 1..=start + length {
            disk.until(at(day, 3)).await;
            let (mut tx, now) = (disk.world.db.read().await.unwrap(), at(day, 2));
            let found = tx.retention().of_resource(disk.vault.id, id(VOLUME)).await.unwrap();
            for one in found {
                let by_time = one.expired_at.filter(|end| *end <= at(day, 3));
                let gone = match (one.decided, by_time) {
                    (Some(rule), _) => Some((now, rule)),
                    (None, Some(end)) => Some((end, RemoveReason::Expired)),
                    (None, None) => None,
                };
                let known = happened.entry(one.id).or_default();
                *known = known.or(gone);
            }
        }
        for (backup, goes) in said {
            let within = goes.filter(|(time, _)| *time <= at(start + length, 3));
            assert_eq!(happened[&backup], within, "{backup} in round {round}");
        }
    }
}

/// TRB-14: pages of a preview go by resources, and together are the whole.
#[tokio::test]
async fn a_preview_has_pages_of_resources() {
    let world = World::new().await;
    world.clock.set(at(5, 10));
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    world.policy(&vault, wanted(every_day("2"), r#"{"max_backups":1}"#)).await;
    world.sweep_at(at(6, 2)).await;
    let page = async |after| {
        let request = PreviewRequest { resources: 1, after, ..PreviewRequest::default() };
        world.services.policies.preview(&world.access, vault.id, &request).await.unwrap()
    };
    let first = page(None).await;
    let second = page(first.more_after).await;
    let third = page(second.more_after).await;
    let resources = [&first, &second].map(|page| page.backups[0].backup.resource);
    assert_eq!(resources, [id(VOLUME), id(SECOND_VOLUME)]);
    assert_eq!((third.backups.len(), third.more_after), (0, None));
    assert_eq!(world.runs().await[0].state, RunState::Started);
}
