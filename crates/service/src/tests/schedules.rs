//! Policies at work: each occurrence once, whatever clocks and nodes do, and a reason for each that was
//! not started.

use std::time::Duration;

use cbr_model::backup::{BackupState, Content};
use cbr_model::operation::OperationStatus;
use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::query::{Page, PolicyRunFilter};
use cbr_model::size::Gib;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};
use cbr_model::{PolicyId, Timestamp};
use cbr_provider::fake::{Fault as Break, Operation};

use super::world::{SECOND_VOLUME, SERVER, VOLUME, World, bind, id};
use crate::policies::{NewPolicy, NewTrigger, PolicyChange, TriggerChange};
use crate::vaults::VaultChange;

const HOUR: i64 = 3600;
/// 2024-08-05T00:00:00Z, a Monday.
const MONDAY: Timestamp = Timestamp(1_722_816_000_000_000);

/// Hours and minutes after Monday 00:00.
pub(super) fn at(hour: i64, minute: i64) -> Timestamp {
    MONDAY.plus_seconds(hour * HOUR + minute * 60)
}

pub(super) fn every_day(hours: &str) -> Vec<String> {
    vec![format!("FREQ=DAILY;INTERVAL=1;BYHOUR={hours};BYMINUTE=00")]
}

pub(super) fn wanted(patterns: Vec<String>, definition: &str) -> NewPolicy {
    NewPolicy {
        name: "policy-a".into(),
        enabled: true,
        operation: PolicyOperation::Backup,
        trigger: NewTrigger { patterns, start_window_minutes: None, zone: None },
        definition: serde_json::from_str::<OperationDefinition>(definition).unwrap(),
    }
}

impl World {
    /// A policy that works for the vault.
    pub(super) async fn policy(&self, vault: &Vault, wanted: NewPolicy) -> Policy {
        let policy = self.services.policies.create(&self.access, wanted).await.unwrap();
        self.bind_policy(vault, policy.id).await;
        policy
    }

    pub(super) async fn bind_policy(&self, vault: &Vault, policy: PolicyId) {
        let bound = self.services.policies.bind(&self.access, vault.id, &[policy], None).await;
        bound.unwrap();
    }

    pub(super) async fn change_policy(&self, policy: &Policy, change: PolicyChange) {
        self.services.policies.update(&self.access, policy.id, change).await.unwrap();
    }

    pub(super) async fn enable(&self, policy: &Policy, enabled: bool) {
        let change = PolicyChange { enabled: Some(enabled), ..PolicyChange::default() };
        self.change_policy(policy, change).await;
    }

    /// Sweeps at this time, and works on what comes of it.
    pub(super) async fn sweep_at(&self, time: Timestamp) -> u64 {
        self.clock.set(time);
        let count = self.services.schedules.sweep().await.unwrap();
        self.settle().await;
        count
    }

    /// What became of all occurrences, oldest first.
    pub(super) async fn runs(&self) -> Vec<PolicyRun> {
        let filter = PolicyRunFilter::default();
        let listed = self.services.schedules.runs(&self.access, &filter, Page::default()).await;
        let mut runs = listed.unwrap().rows;
        runs.reverse();
        runs
    }

    /// Hour of each occurrence after Monday 00:00, and what became of it.
    pub(super) async fn fates(&self) -> Vec<(i64, RunState, RunReason)> {
        let hour = |run: &PolicyRun| run.occurrence.micros_since(MONDAY) / (HOUR * 1_000_000);
        self.runs().await.iter().map(|run| (hour(run), run.state, run.reason)).collect()
    }
}

pub(super) async fn world_at(time: Timestamp) -> World {
    let world = World::new().await;
    world.clock.set(time);
    world
}

/// POL-13, POL-12, RET-T8, TSK-08: 00:00, 01:00 and 02:00, and 90 minutes of work from 00:00 on: two
/// backups and one skipped task.
#[tokio::test]
async fn ret_t8_a_run_that_overruns_the_next_point_skips_it() {
    let world = world_at(at(-10, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let policy = world.policy(&vault, wanted(every_day("0,1,2"), "{}")).await;
    let sweep = async |hour, minute| {
        world.clock.set(at(hour, minute));
        world.services.schedules.sweep().await.unwrap()
    };
    assert_eq!(sweep(0, 0).await, 1);
    assert_eq!(sweep(1, 0).await, 1, "nobody works: the backup of 00:00 runs on");
    world.clock.set(at(1, 30));
    world.settle().await;
    assert_eq!(sweep(2, 0).await, 1);
    world.settle().await;
    assert_eq!(world.backups().await.len(), 2);
    let (none, nothing) = (RunReason::None, RunReason::NothingToBackUp);
    let expected = [
        (0, RunState::Started, none),
        (1, RunState::Skipped, nothing),
        (2, RunState::Started, none),
    ];
    assert_eq!(world.fates().await, expected);
    let logs = world.logs().await;
    let skipped: Vec<_> =
        logs.iter().filter(|log| log.status == OperationStatus::Skipped).collect();
    assert_eq!((logs.len(), skipped.len()), (3, 1));
    assert_eq!(skipped[0].policy, Some(policy.id));
    assert_eq!(skipped[0].error.as_ref().unwrap().code, "BackupService.6125");
}

/// POL-16, POL-17, POL-57: the first run is the first time after the policy was made and bound; a run
/// takes every resource, marks its backups as automatic and names its policy. PRD-14: a person may back up too.
#[tokio::test]
async fn the_first_run_takes_everything_that_is_bound() {
    let world = world_at(at(10, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let policy = world.policy(&vault, wanted(every_day("2"), r#"{"max_backups":3}"#)).await;
    for (time, count) in [(at(10, 1), 0), (at(25, 59), 0), (at(26, 0), 1), (at(26, 1), 0)] {
        assert_eq!(world.sweep_at(time).await, count, "{time:?}");
    }
    let backups = world.backups().await;
    assert_eq!(backups.len(), 2);
    for backup in &backups {
        assert!(backup.auto_trigger && backup.name.as_str().starts_with("autobk_"));
        assert_eq!(backup.expired_at, None, "by count: no stamp");
    }
    let runs = world.runs().await;
    assert_eq!((runs[0].started, runs[0].skipped), (2, 0));
    assert_eq!(runs[0].checkpoint, Some(backups[0].checkpoint));
    let logs = world.logs().await;
    assert!(logs.iter().all(|log| log.policy == Some(policy.id)), "{logs:?}");

    world.settle().await;
    let by_hand = world.start(&vault, true).await.unwrap();
    world.settle().await;
    let by_hand = world.backups_of(&by_hand).await;
    assert_eq!((by_hand.len(), world.backups().await.len()), (2, 4));
    assert!(by_hand.iter().all(|backup| !backup.auto_trigger && backup.incremental));
}

/// P16: any number of nodes and restarts make one run of an occurrence.
#[tokio::test]
async fn several_nodes_start_an_occurrence_once() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("2"), "{}")).await;
    world.clock.set(at(2, 0));
    let nodes: Vec<_> = (0..4).map(|_| crate::Schedules::new(world.core())).collect();
    let sweep = |n: usize| nodes[n].sweep();
    let (a, b, c, d) = tokio::join!(sweep(0), sweep(1), sweep(2), sweep(3));
    let counts = [a, b, c, d].map(Result::unwrap);
    assert_eq!(counts.iter().sum::<u64>(), 1, "{counts:?}");
    world.settle().await;
    assert_eq!(world.backups().await.len(), 1);
}

/// P16: a clock that is set back makes nothing run again; one that ran ahead for a moment loses nothing:
/// what it made look missed is started when its time comes.
#[tokio::test]
async fn clocks_that_jump_double_and_lose_nothing() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("2"), "{}")).await;
    assert_eq!(world.sweep_at(at(2, 0)).await, 1);
    // An NTP step over the start.
    world.clock.set(at(1, 59));
    assert_eq!(world.services.schedules.replan_ahead().await.unwrap(), 1);
    assert_eq!(world.sweep_at(at(2, 0)).await, 0, "it has been");
    assert_eq!(world.backups().await.len(), 1);
    // A wrong clock, a year ahead, for one round; then it is set right.
    assert_eq!(world.sweep_at(at(24 * 365, 0)).await, 364);
    let is_missed = |run: &&PolicyRun| run.state == RunState::Missed;
    assert_eq!(world.runs().await.iter().filter(is_missed).count(), 364);
    world.clock.set(at(3, 0));
    assert_eq!(world.services.schedules.replan_ahead().await.unwrap(), 1);
    assert_eq!(world.sweep_at(at(26, 0)).await, 1);
    assert_eq!(world.sweep_at(at(50, 0)).await, 1);
    assert_eq!(world.backups().await.len(), 3);
    assert_eq!(world.runs().await.iter().filter(is_missed).count(), 362);
}

/// P16, POL-11: what nobody started is missed and says so; within its window it is started late.
#[tokio::test]
async fn what_was_missed_is_written_down_and_the_last_one_is_started_late() {
    let world = world_at(at(0, 30)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let hours = every_day("1,2,3,4,5,6,7,8");
    let mut policy = wanted(hours, "{}");
    policy.trigger.start_window_minutes = Some(120);
    world.policy(&vault, policy).await;
    assert_eq!(world.sweep_at(at(4, 59)).await, 4);
    assert_eq!(world.sweep_at(at(5, 0)).await, 1);
    assert_eq!(world.sweep_at(at(10, 0)).await, 3);
    let (missed, no_node) = (RunState::Missed, RunReason::NoNode);
    let expected = [
        (1, missed, no_node),
        (2, missed, no_node),
        (3, missed, no_node),
        (4, RunState::Started, RunReason::None),
        (5, RunState::Started, RunReason::None),
        (6, missed, no_node),
        (7, missed, no_node),
        // Due at 08:00 and open until 10:00: just over.
        (8, missed, no_node),
    ];
    assert_eq!(world.fates().await, expected);
}

/// Contract B.9: a window spreads the starts of a run.
#[tokio::test]
async fn a_window_spreads_the_starts_of_a_run() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let mut policy = wanted(every_day("2"), "{}");
    policy.trigger.start_window_minutes = Some(60);
    world.policy(&vault, policy).await;
    world.clock.set(at(2, 0));
    world.services.schedules.sweep().await.unwrap();
    world.services.engine(cbr_task::Options::default()).run_due().await.unwrap();
    let available = async || {
        let backups = world.backups().await;
        backups.iter().filter(|backup| backup.state.as_str() == "available").count()
    };
    assert_eq!(available().await, 1);
    world.clock.set(at(2, 30));
    world.services.engine(cbr_task::Options::default()).run_due().await.unwrap();
    assert_eq!(available().await, 2);
}

/// POL-05, VLT-81, Y.1: what forbids a run is its reason.
#[tokio::test]
async fn what_forbids_a_run_is_written_down() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let policy = world.policy(&vault, wanted(every_day("1,2,3,4,5"), "{}")).await;
    let set = async |status| {
        let mut tx = world.db.begin().await.unwrap();
        let all = VaultStatus::ALL;
        tx.vaults().change_status(vault.project, vault.id, &all, status).await.unwrap();
        tx.commit().await.unwrap();
    };
    world.enable(&policy, false).await;
    world.sweep_at(at(1, 0)).await;
    world.enable(&policy, true).await;
    set(VaultStatus::Frozen).await;
    world.sweep_at(at(2, 0)).await;
    set(VaultStatus::Lock).await;
    world.sweep_at(at(3, 0)).await;
    set(VaultStatus::Available).await;
    let removed = world.services.vaults.remove_resources(&world.access, vault.id, vec![id(VOLUME)]);
    removed.await.unwrap();
    world.settle().await;
    world.sweep_at(at(4, 0)).await;
    let added = vec![bind(vault.kind.resource_kind().unwrap(), SECOND_VOLUME)];
    world.services.vaults.add_resources(&world.access, vault.id, added).await.unwrap();
    world.provider.remove(id(SECOND_VOLUME));
    world.sweep_at(at(5, 0)).await;
    let (refused, skipped) = (RunState::Refused, RunState::Skipped);
    let expected = [
        (1, refused, RunReason::PolicyDisabled),
        (2, refused, RunReason::VaultStatus),
        (3, RunState::Started, RunReason::None),
        (4, skipped, RunReason::VaultEmpty),
        (5, skipped, RunReason::NothingToBackUp),
    ];
    assert_eq!(world.fates().await, expected);
    let last = world.runs().await.pop().unwrap();
    assert!(last.message.contains("does not exist any more"), "{}", last.message);
}

/// VLT-80, VLT-81: full is beyond the capacity.
#[tokio::test]
async fn a_full_vault_refuses_and_says_so() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("1,2"), "{}")).await;
    world.sweep_at(at(1, 0)).await;
    let mut tx = world.db.begin().await.unwrap();
    let mut backup = world.backups().await.remove(0);
    let mut content = backup.state.content().cloned().unwrap();
    let Content::Disk(version) = &mut content else { panic!("{content:?}") };
    version.logical_bytes = Gib(101).bytes();
    backup.state = BackupState::Available { content };
    assert!(tx.backups().update(&backup, "available").await.unwrap());
    tx.commit().await.unwrap();
    world.sweep_at(at(2, 0)).await;
    assert_eq!(world.fates().await[1], (2, RunState::Refused, RunReason::VaultFull));
}

/// POL-06, POL-11: a provider that does not answer is asked again; the row says what stands in the way,
/// and when its time is over, that it was missed for that.
#[tokio::test]
async fn what_cannot_be_started_is_tried_again_until_its_time_is_over() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("1,5"), "{}")).await;
    world.provider.fail(Operation::Inventory, 1, Break::Unavailable);
    assert_eq!(world.sweep_at(at(1, 0)).await, 0);
    assert_eq!(world.fates().await, [(1, RunState::Waiting, RunReason::NotPossible)]);
    assert_eq!(world.sweep_at(at(1, 1)).await, 1);
    assert_eq!(world.fates().await, [(1, RunState::Started, RunReason::None)]);
    world.provider.fail(Operation::Inventory, 1, Break::Unavailable);
    world.sweep_at(at(5, 0)).await;
    assert_eq!(world.sweep_at(at(6, 0)).await, 1);
    let last = world.runs().await.pop().unwrap();
    assert_eq!((last.state, last.reason), (RunState::Missed, RunReason::NotPossible));
    assert!(!last.message.is_empty());
    assert_eq!(world.backups().await.len(), 1);
}

/// POL-50, POL-51, POL-54: an unbound policy starts nothing more, and what it started is finished; what
/// was due and had not had its turn is written down.
#[tokio::test]
async fn an_unbound_policy_starts_nothing_and_what_it_started_is_finished() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let policy = world.policy(&vault, wanted(every_day("1,2,3"), "{}")).await;
    world.clock.set(at(1, 0));
    world.services.schedules.sweep().await.unwrap();
    world.clock.set(at(2, 0));
    world.services.policies.unbind(&world.access, vault.id, policy.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.sweep_at(at(3, 0)).await, 0);
    assert_eq!(world.backups().await[0].state.as_str(), "available");
    let expected =
        [(1, RunState::Started, RunReason::None), (2, RunState::Refused, RunReason::Unbound)];
    assert_eq!(world.fates().await, expected);
}

/// P16: a change of a policy loses nothing that was due before it, and what is due after it is by the
/// new times.
#[tokio::test]
async fn a_change_of_the_times_loses_nothing_that_was_due() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let policy = world.policy(&vault, wanted(every_day("1,2"), "{}")).await;
    world.clock.set(at(1, 5));
    let trigger = TriggerChange { patterns: every_day("4"), ..TriggerChange::default() };
    world
        .change_policy(&policy, PolicyChange { trigger: Some(trigger), ..Default::default() })
        .await;
    for (time, count) in [(at(1, 6), 1), (at(2, 0), 0), (at(4, 0), 1)] {
        assert_eq!(world.sweep_at(time).await, count, "{time:?}");
    }
    assert_eq!(world.backups().await.len(), 2);
}

/// POL-18, POL-19, POL-21: three incremental ones, one full; never two within a day, and that is said.
#[tokio::test]
async fn a_full_backup_comes_after_so_many_incremental_ones() {
    let world = world_at(at(-1, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let definition = r#"{"full_backup_interval":3}"#;
    world.policy(&vault, wanted(every_day("0,6,12,18"), definition)).await;
    for hour in [0, 6, 12, 18, 24, 30] {
        world.sweep_at(at(hour, 0)).await;
    }
    let kinds = async || {
        let mut backups = world.backups().await;
        backups.sort_by_key(|backup| backup.created_at);
        backups.iter().map(|backup| !backup.incremental).collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, [true, false, false, false, true, false]);
    // Somebody makes a full one by hand: the next full one of the policy keeps its distance from it.
    world.clock.set(at(31, 0));
    world.start(&vault, false).await.unwrap();
    world.settle().await;
    for hour in [36, 42, 48, 54, 60] {
        world.sweep_at(at(hour, 0)).await;
    }
    assert_eq!(kinds().await[6..], [true, false, false, false, false, true]);
    let put_off = world.runs().await.into_iter().find(|run| run.message.contains("put off"));
    assert_eq!(put_off.unwrap().occurrence, at(54, 0), "23 hours after 31:00");
}

/// POL-22: with as many kept as the interval has, there is never a full one.
#[tokio::test]
async fn no_full_backup_where_fewer_are_kept_than_the_interval_has() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let definition = r#"{"full_backup_interval":1,"max_backups":1}"#;
    world.policy(&vault, wanted(every_day("2"), definition)).await;
    for day in 0..4 {
        world.sweep_at(at(24 * day + 2, 0)).await;
    }
    let runs = world.runs().await;
    assert!(runs.len() == 4 && runs.iter().all(|run| run.full == 0), "{runs:?}");
}

/// RES-30, RES-31: a vault that binds by itself takes what is in no vault before its run, and backs it
/// up; a rule with a tag takes nothing from a provider that knows no tags.
#[tokio::test]
async fn a_vault_binds_unprotected_resources_before_its_run() {
    let world = world_at(at(0, 0)).await;
    let other = world.vault(VaultKind::Disk, &[SECOND_VOLUME]).await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    let change = VaultChange { auto_bind: Some(true), ..VaultChange::default() };
    world.services.vaults.update(&world.access, vault.id, change).await.unwrap();
    world.policy(&vault, wanted(every_day("2"), "{}")).await;
    world.sweep_at(at(2, 0)).await;
    let bound: Vec<_> = world.reread(&vault).await.resources.iter().map(|bound| bound.id).collect();
    assert!(bound.contains(&id(VOLUME)) && !bound.contains(&id(SECOND_VOLUME)), "{bound:?}");
    assert_eq!(world.reread(&other).await.resources.len(), 1);
    let run = world.runs().await.remove(0);
    assert_eq!((run.state, run.started as usize), (RunState::Started, bound.len()));
}

/// POL-57, RES-08: a server's policy takes its disks as they are then.
#[tokio::test]
async fn a_server_is_backed_up_with_all_its_disks() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    world.policy(&vault, wanted(every_day("2"), r#"{"retention_duration_days":3}"#)).await;
    world.sweep_at(at(2, 0)).await;
    let backup = world.backups().await.remove(0);
    assert_eq!(backup.children.len(), 2);
    let end = Some(at(2 + 72, 0));
    assert!(backup.children.iter().all(|disk| disk.expired_at == end && disk.auto_trigger));
    assert_eq!(backup.expired_at, end, "RET-20: stamped when it was made");
}

/// It goes on by itself: the loop wakes up for what is due and ends when it is told to.
#[tokio::test]
async fn the_loop_wakes_up_for_what_is_due() {
    let world = world_at(at(0, 0)).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("2"), "{}")).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let schedules = std::sync::Arc::clone(&world.services.schedules);
    let stopping = stop.clone();
    let running = tokio::spawn(async move { schedules.run(stopping).await });
    while world.runs().await.is_empty() {
        world.clock.advance(Duration::from_secs(30));
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
    let run = world.runs().await.remove(0);
    assert_eq!(run.occurrence, at(2, 0));
}
