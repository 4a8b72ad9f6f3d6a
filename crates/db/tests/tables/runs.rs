//! Occurrences of policies, plans, ends and holds of backups.

use cbr_db::{DueResource, Fulls};
use cbr_model::backup::BackupState;
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::query::{Page, PolicyRunFilter};
use cbr_model::retention::{Hold, HoldKind, RemoveReason};
use cbr_model::{ChainId, PolicyId, Timestamp, VaultId};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;
use crate::policies::stored;

on_both_engines! {
    an_occurrence_is_decided_once,
    bindings_are_due_in_order_of_their_times,
    what_cannot_be_read_of_the_plans_is_told_beside_the_rest,
    what_is_at_its_end_and_what_is_held_comes_back,
}

fn run(world: &World, policy: PolicyId, vault: VaultId, at: i64, state: RunState) -> PolicyRun {
    let is_started = state == RunState::Started;
    PolicyRun {
        policy,
        vault,
        occurrence: Timestamp(at),
        project: world.project,
        policy_name: "p".into(),
        vault_name: "v".into(),
        state,
        reason: if is_started { RunReason::None } else { RunReason::NoNode },
        message: "it \"was\"".into(),
        checkpoint: is_started.then(|| world.id()),
        started: 2,
        skipped: 1,
        full: 1,
        decided_at: world.now(),
    }
}

/// P16: what was started, skipped or refused stays; what waits or was missed may be decided anew.
async fn an_occurrence_is_decided_once(database: TestDatabase) {
    let world = World::on(database).await;
    let (policy, vault) = (world.id(), world.id());
    let of = |at, state| run(&world, policy, vault, at, state);
    let mut tx = world.begin().await;
    for (first, second, is_replaced) in [
        (RunState::Started, RunState::Missed, false),
        (RunState::Skipped, RunState::Started, false),
        (RunState::Refused, RunState::Started, false),
        (RunState::Missed, RunState::Started, true),
        (RunState::Waiting, RunState::Missed, true),
    ] {
        let at = first as i64 * 10 + 1;
        let (before, after) = (of(at, first), of(at, second));
        assert!(tx.policy_runs().decide(&before).await.unwrap());
        let replaced = tx.policy_runs().decide(&after).await.unwrap();
        assert_eq!(replaced, is_replaced, "{first:?} {second:?}");
        let found = tx.policy_runs().find(&before).await.unwrap();
        assert_eq!(found, Some(if is_replaced { after } else { before }));
    }
    let list = PolicyRunFilter::default();
    let all = tx.policy_runs().list(world.project, &list, &Page::default()).await.unwrap();
    let times: Vec<i64> = all.rows.iter().map(|run| run.occurrence.0).collect();
    assert!(times.is_sorted_by(|a, b| a > b) && all.total == 5, "{times:?}");
    let missed = PolicyRunFilter { states: vec![RunState::Missed], ..list.clone() };
    let found = tx.policy_runs().list(world.project, &missed, &Page::default()).await.unwrap();
    assert_eq!(found.total, 1);
    let from = PolicyRunFilter { from: Some(Timestamp(times[1])), vault: Some(vault), ..list };
    let found = tx.policy_runs().list(world.project, &from, &Page::default()).await.unwrap();
    assert_eq!(found.total, 2);
    assert_eq!(tx.policy_runs().delete_before(Timestamp(times[3])).await.unwrap(), 1);
}

/// P16: a policy that cannot be read keeps no other plan from being read; what a clock missed that was ahead
/// is known.
async fn what_cannot_be_read_of_the_plans_is_told_beside_the_rest(database: TestDatabase) {
    let world = World::on(database).await;
    let (sound, damaged) = (stored(&world, "a").await, stored(&world, "b").await);
    let mut tx = world.begin().await;
    for policy in [&sound, &damaged] {
        let vault = world.vault(policy.name.as_str());
        tx.vaults().insert(&vault).await.unwrap();
        tx.policies().bind(vault.id, policy.id, policy.operation, None).await.unwrap();
    }
    for (at, state) in [(1, RunState::Missed), (2, RunState::Missed), (3, RunState::Started)] {
        let now = world.now();
        let run = run(&world, sound.id, world.id(), now.0 - 10 + at, state);
        let decided_at = Timestamp(if at == 1 { now.0 - 5 } else { now.0 + 5 });
        tx.policy_runs().decide(&PolicyRun { decided_at, ..run }).await.unwrap();
    }
    let now = world.now();
    let missed = tx.policy_runs().missed_ahead(Timestamp(now.0 - 10), now).await.unwrap();
    let missed: Vec<_> = missed.iter().map(|run| run.occurrence.0 - now.0).collect();
    assert_eq!(missed, [-8], "neither what was missed in time, nor what was started");
    tx.commit().await.unwrap();
    world.by_hand(format!("UPDATE policies SET patterns = '?' WHERE id = '{}'", damaged.id)).await;
    let plans = world.read().await.schedules().all().await.unwrap();
    assert_eq!((plans.bindings.len(), plans.policies.len(), plans.unreadable.len()), (2, 1, 1));
    assert!(plans.policies.contains_key(&sound.id));
    let told = plans.unreadable[0].to_string();
    assert!(told.contains("patterns"), "{told}");
}

/// P16: what is to be planned comes first; pages neither overlap nor leave gaps; binding anew plans anew.
async fn bindings_are_due_in_order_of_their_times(database: TestDatabase) {
    let world = World::on(database).await;
    let policy = stored(&world, "a").await;
    let mut tx = world.begin().await;
    for (name, at) in [("a", Some(30)), ("b", Some(10)), ("c", None), ("d", Some(90))] {
        let vault = world.vault(name);
        tx.vaults().insert(&vault).await.unwrap();
        tx.policies().bind(vault.id, policy.id, policy.operation, None).await.unwrap();
        let planned = at.map(Timestamp);
        assert_eq!(tx.schedules().plan(policy.id, Some(vault.id), planned).await.unwrap(), 1);
        let found = tx.schedules().next_run_at(vault.id, policy.id).await.unwrap();
        assert_eq!(found, Some(planned));
    }
    let mut found = Vec::new();
    while let [one] = tx.schedules().due(Timestamp(50), found.last(), 1).await.unwrap()[..] {
        found.push(one);
    }
    let times: Vec<_> = found.iter().map(|due| due.next_run_at.map(|at| at.0)).collect();
    assert_eq!(times, [None, Some(10), Some(30)]);
    assert_eq!(tx.schedules().all().await.unwrap().bindings.len(), 4);
    let again = found[2].vault;
    tx.policies().bind(again, policy.id, policy.operation, None).await.unwrap();
    assert_eq!(tx.schedules().next_run_at(again, policy.id).await.unwrap(), Some(None));
    assert_eq!(tx.schedules().next_run_at(world.id(), policy.id).await.unwrap(), None);
    let chain: ChainId = world.id();
    tx.schedules().note_incremental(chain).await.unwrap();
    tx.schedules().note_full(chain, Timestamp(5)).await.unwrap();
    tx.schedules().note_incremental(chain).await.unwrap();
    let fulls = tx.schedules().fulls(chain).await.unwrap();
    assert_eq!(fulls, Some(Fulls { full_at: Timestamp(5), since_full: 1 }));
}

/// RET-18: ends by time and by decision, and holds; all of it goes with the backup.
async fn what_is_at_its_end_and_what_is_held_comes_back(database: TestDatabase) {
    let world = World::on(database).await;
    let mut backup = world.stored_backup().await;
    let mut tx = world.begin().await;
    let (now, long_ago) = (world.now(), Timestamp(0));
    let due =
        DueResource { project: world.project, vault: backup.vault, resource: backup.resource };
    assert_eq!(tx.retention().due(now, long_ago, None, 9).await.unwrap(), []);
    backup.state = BackupState::Available { content: world.disk(5) };
    backup.expired_at = Some(now);
    assert!(tx.backups().update(&backup, "protecting").await.unwrap());
    assert_eq!(tx.retention().due(now, long_ago, None, 9).await.unwrap(), [due]);
    assert_eq!(tx.retention().due(now, long_ago, Some(&due), 9).await.unwrap(), []);
    backup.expired_at = None;
    assert!(tx.backups().update(&backup, "available").await.unwrap());
    assert_eq!(tx.retention().due(now, long_ago, None, 9).await.unwrap(), []);

    tx.retention().expire(backup.id, RemoveReason::TooMany).await.unwrap();
    tx.retention().expire(backup.id, RemoveReason::FailedTooMany).await.unwrap();
    let hold = Hold { kind: HoldKind::Person, note: "why".into(), since: now };
    tx.retention().hold(backup.id, &hold).await.unwrap();
    let [found] = &tx.retention().of_resource(backup.vault, backup.resource).await.unwrap()[..]
    else {
        panic!("one backup")
    };
    assert_eq!((found.id, found.decided), (backup.id, Some(RemoveReason::TooMany)));
    assert_eq!(found.holds, [HoldKind::Person]);
    assert_eq!(tx.retention().holds(backup.id).await.unwrap(), [hold]);
    assert_eq!(tx.retention().due(now, long_ago, None, 9).await.unwrap(), [due]);
    let resources = tx.retention().resources(backup.vault, None, 9).await.unwrap();
    assert_eq!(resources, [backup.resource]);
    tx.retention().spare(&[backup.id]).await.unwrap();
    assert!(tx.retention().release(backup.id, HoldKind::Person).await.unwrap());
    assert!(!tx.retention().release(backup.id, HoldKind::Person).await.unwrap());
    assert_eq!(tx.retention().due(now, long_ago, None, 9).await.unwrap(), []);
    tx.retention().expire(backup.id, RemoveReason::TooMany).await.unwrap();
    assert!(tx.backups().delete(world.project, backup.id, "available").await.unwrap());
    assert_eq!(tx.retention().due(now, long_ago, None, 9).await.unwrap(), []);
}
