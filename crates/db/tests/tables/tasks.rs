//! Tasks, as the engine sees them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cbr_db::{Claim, ClaimedTask, Tx};
use cbr_model::operation::{OperationDetails, OperationError, OperationStatus};
use cbr_model::{TaskId, Timestamp};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_claim_takes_the_task_that_is_due_for_longest,
    a_claim_holds_until_its_lease_ends,
    who_lost_the_claim_changes_nothing,
    one_task_of_a_key_is_at_work,
    tasks_of_a_key_run_in_their_order_whoever_may_run_them,
    tasks_of_a_key_run_in_their_order_while_the_clock_stands,
    a_task_is_claimed_by_its_node_and_kind_only,
    racing_claims_never_get_the_same_task,
    progress_and_attempts_are_counted,
    unfinished_tasks_are_found_by_key_and_backup,
    a_row_that_cannot_be_read_holds_up_no_other,
}

async fn claim_as(tx: &mut Tx, node: &str, kinds: &[&'static str]) -> Option<ClaimedTask> {
    let lease_until = tx.now().plus_seconds(30);
    tx.tasks().claim(&Claim { node, kinds, lease_until }).await.unwrap()
}

async fn claim(world: &World) -> Option<ClaimedTask> {
    let mut tx = world.begin().await;
    let task = claim_as(&mut tx, "n1", &["toy"]).await;
    tx.commit().await.unwrap();
    task
}

async fn a_claim_takes_the_task_that_is_due_for_longest(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut tasks = Vec::new();
    for run_at in [900_000, 500_000, 5_000_000] {
        let mut task = world.task();
        task.run_at = Timestamp(run_at);
        tx.tasks().insert(&task).await.unwrap();
        tasks.push(task.id);
    }
    assert_eq!(tx.tasks().next_run_at().await.unwrap(), Some(Timestamp(500_000)));
    tx.commit().await.unwrap();
    let first = claim(&world).await.unwrap();
    assert_eq!((first.id, first.fencing, first.attempts), (tasks[1], 1, 1));
    assert_eq!(first.started_at, Timestamp(1_000_000));
    assert_eq!(claim(&world).await.unwrap().id, tasks[0]);
    assert_eq!(claim(&world).await, None, "the third is not due");
    world.clock.advance(Duration::from_secs(4));
    assert_eq!(claim(&world).await.unwrap().id, tasks[2]);
}

/// P14.
async fn a_claim_holds_until_its_lease_ends(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    tx.tasks().insert(&world.task()).await.unwrap();
    tx.commit().await.unwrap();
    let first = claim(&world).await.unwrap();
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(claim(&world).await, None);
    let mut tx = world.begin().await;
    let until = tx.now().plus_seconds(30);
    assert_eq!(tx.tasks().renew(first.id, first.fencing, 3, until).await.unwrap(), Some(false));
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(claim(&world).await, None, "renewed");
    world.clock.advance(Duration::from_secs(1));
    let second = claim(&world).await.unwrap();
    assert_eq!((second.id, second.fencing, second.attempts), (first.id, 2, 2));
    assert_eq!((second.progress, second.started_at), (3, first.started_at));
}

/// P14: a paused worker that wakes up after its lease has no effect.
async fn who_lost_the_claim_changes_nothing(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    tx.tasks().insert(&world.task()).await.unwrap();
    tx.commit().await.unwrap();
    let old = claim(&world).await.unwrap();
    world.clock.advance(Duration::from_secs(31));
    let new = claim(&world).await.unwrap();
    let mut tx = world.begin().await;
    let before = tx.operations().find(world.project, old.id).await.unwrap();
    let (id, now) = (old.id, tx.now());
    let mut tasks = tx.tasks();
    assert!(!tasks.save(id, old.fencing, "{}", 50).await.unwrap());
    assert!(!tasks.end(id, old.fencing, "{}", OperationStatus::Success, None).await.unwrap());
    assert!(!tasks.postpone(id, old.fencing, "{}", 0, now).await.unwrap());
    assert_eq!(tasks.renew(id, old.fencing, 99, now).await.unwrap(), None);
    assert_eq!(tx.operations().find(world.project, id).await.unwrap(), before);
    let mut tasks = tx.tasks();
    assert!(tasks.end(id, new.fencing, "{}", OperationStatus::Success, None).await.unwrap());
    assert!(!tasks.end(id, new.fencing, "{}", OperationStatus::Success, None).await.unwrap());
}

/// BAK-25: also while the one at work pauses, or its worker is dead.
async fn one_task_of_a_key_is_at_work(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut task = world.task();
        task.exclusive_key = Some("resource:x".into());
        tx.tasks().insert(&task).await.unwrap();
        ids.push(task.id);
        world.clock.advance(Duration::from_micros(1));
    }
    tx.commit().await.unwrap();
    let first = claim(&world).await.unwrap();
    assert_eq!(claim(&world).await, None);
    let mut tx = world.begin().await;
    let later = tx.now().plus_seconds(60);
    assert!(tx.tasks().postpone(first.id, 1, "{}", 1, later).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(claim(&world).await, None, "a pause keeps the key");
    world.clock.advance(Duration::from_mins(1));
    let again = claim(&world).await.unwrap();
    assert_eq!(again.id, first.id);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(claim(&world).await.unwrap().id, first.id, "taken over before its rival begins");
    let mut tx = world.begin().await;
    let ended = tx.tasks().end(first.id, 3, "{}", OperationStatus::Success, None).await;
    assert!(ended.unwrap());
    tx.commit().await.unwrap();
    let rival = claim(&world).await.unwrap();
    assert_ne!(rival.id, first.id);
    assert!(ids.contains(&rival.id));
}

/// RES-17: a purge, which any node may run, does not overtake the backup of the same
/// resource that waits for its own node; holding the key it would wait for it for ever.
async fn tasks_of_a_key_run_in_their_order_whoever_may_run_them(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut backup = world.task();
    backup.exclusive_key = Some("resource:x".into());
    backup.node = Some("n2".into());
    let mut planned = world.task();
    planned.exclusive_key = Some("resource:y".into());
    planned.run_at = tx.now().plus_seconds(3600);
    for task in [&backup, &planned] {
        tx.tasks().insert(task).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_micros(1));
    let mut tx = world.begin().await;
    let mut purge = world.task();
    purge.exclusive_key.clone_from(&backup.exclusive_key);
    let mut other = world.task();
    other.exclusive_key.clone_from(&planned.exclusive_key);
    for task in [&purge, &other] {
        tx.tasks().insert(task).await.unwrap();
    }
    let first = claim_as(&mut tx, "n1", &["toy"]).await;
    assert_eq!(first.map(|task| task.id), Some(other.id), "who is not due yet is in nobody's way");
    assert_eq!(claim_as(&mut tx, "n1", &["toy"]).await, None);
    let first = claim_as(&mut tx, "n2", &["toy"]).await.unwrap();
    assert_eq!(first.id, backup.id);
    assert_eq!(claim_as(&mut tx, "n1", &["toy"]).await, None);
    let ended = tx.tasks().end(first.id, 1, "{}", OperationStatus::Success, None).await;
    assert!(ended.unwrap());
    assert_eq!(claim_as(&mut tx, "n1", &["toy"]).await.unwrap().id, purge.id);
}

/// RES-17: a clock that stands still lets no purge overtake the backup it would wait for.
async fn tasks_of_a_key_run_in_their_order_while_the_clock_stands(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut order = Vec::new();
    for _ in 0..20 {
        let mut task = world.task();
        task.exclusive_key = Some("resource:x".into());
        tx.tasks().insert(&task).await.unwrap();
        order.push(task.id);
    }
    for id in order {
        let claimed = claim_as(&mut tx, "n1", &["toy"]).await.unwrap();
        assert_eq!(claimed.id, id);
        let ended = tx.tasks().end(id, 1, "{}", OperationStatus::Success, None).await;
        assert!(ended.unwrap());
    }
}

async fn a_task_is_claimed_by_its_node_and_kind_only(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut task = world.task();
    task.node = Some("n2".into());
    tx.tasks().insert(&task).await.unwrap();
    assert_eq!(claim_as(&mut tx, "n1", &["toy"]).await, None);
    assert_eq!(claim_as(&mut tx, "n2", &["other"]).await, None);
    assert_eq!(claim_as(&mut tx, "n2", &[]).await, None);
    assert!(claim_as(&mut tx, "n2", &["other", "toy"]).await.is_some());
}

async fn racing_claims_never_get_the_same_task(database: TestDatabase) {
    let world = Arc::new(World::on(database).await);
    let mut tx = world.begin().await;
    for _ in 0..20 {
        tx.tasks().insert(&world.task()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut got = Vec::new();
                while let Some(task) = claim(&world).await {
                    got.push(task.id);
                }
                got
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), 20);
    assert_eq!(all.into_iter().collect::<HashSet<TaskId>>().len(), 20);
}

async fn progress_and_attempts_are_counted(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let task = world.task();
    tx.tasks().insert(&task).await.unwrap();
    tx.commit().await.unwrap();
    claim(&world).await.unwrap();
    world.clock.advance(Duration::from_secs(31));
    claim(&world).await.unwrap();
    let mut tx = world.begin().await;
    assert!(tx.tasks().save(task.id, 2, "{\"stage\":\"b\"}", 40).await.unwrap());
    assert!(tx.tasks().save(task.id, 2, "{\"stage\":\"c\"}", 30).await.unwrap());
    let found = tx.operations().find(world.project, task.id).await.unwrap().unwrap();
    assert_eq!((found.progress, found.attempts), (40, 1), "progress never runs backwards");
    assert_eq!(
        (found.stage.as_str(), found.status),
        ("{\"stage\":\"c\"}", OperationStatus::Running)
    );
    let later = tx.now().plus_seconds(1);
    assert!(tx.tasks().postpone(task.id, 2, "{\"stage\":\"d\"}", 5, later).await.unwrap());
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let task = claim(&world).await.unwrap();
    assert_eq!((task.attempts, task.stage.as_str()), (6, "{\"stage\":\"d\"}"));
    let error = OperationError { code: "BackupService.9910".into(), message: "no".into() };
    let mut tx = world.begin().await;
    let status = OperationStatus::Failed;
    assert!(tx.tasks().end(task.id, task.fencing, "{}", status, Some(&error)).await.unwrap());
    let found = tx.operations().find(world.project, task.id).await.unwrap().unwrap();
    assert_eq!((found.progress, found.error), (40, Some(error)));
    assert_eq!(found.ended_at, Some(tx.now()));
    assert_eq!(tx.tasks().next_run_at().await.unwrap(), None);
    let now = tx.now();
    assert_eq!(tx.tasks().delete_ended_before(now).await.unwrap(), 0);
    assert_eq!(tx.tasks().delete_ended_before(now.plus_seconds(1)).await.unwrap(), 1);
}

async fn unfinished_tasks_are_found_by_key_and_backup(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut task = world.task();
    task.exclusive_key = Some("k".into());
    task.backup = Some(world.id());
    let backup = task.backup.unwrap();
    tx.tasks().insert(&task).await.unwrap();
    let mut skipped = world.task();
    skipped.exclusive_key = Some("k".into());
    skipped.backup = task.backup;
    let error = OperationError { code: "BackupService.6125".into(), message: "busy".into() };
    tx.tasks().insert_skipped(&skipped, &error).await.unwrap();

    let found = tx.tasks().find_by_key("k").await.unwrap().map(|found| found.id);
    assert_eq!(found, Some(task.id));
    assert_eq!(tx.tasks().find_by_key("other").await.unwrap(), None);
    let found = tx.tasks().list_by_backup(backup).await.unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [task.id]);
    assert_eq!(tx.tasks().list_unfinished().await.unwrap(), found);
    let details = OperationDetails::VaultDelete { total: 3, failed: 1 };
    tx.tasks().set_details(task.id, &details).await.unwrap();
    let found = tx.operations().find(world.project, task.id).await.unwrap().unwrap();
    assert_eq!(found.details, details);
    let found = tx.operations().find(world.project, skipped.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.error), (OperationStatus::Skipped, Some(error)));
    assert!(found.ended_at.is_some());

    // VLT-76: what was tried and is not possible is a log like others.
    let failed = world.task();
    let error = OperationError { code: "BackupService.6114".into(), message: "full".into() };
    tx.tasks().insert_failed(&failed, &error).await.unwrap();
    let found = tx.operations().find(world.project, failed.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.error), (OperationStatus::Failed, Some(error)));
    assert!(found.ended_at.is_some() && found.started_at.is_some());
}

/// P3, P18: what a newer version wrote, or damage, keeps neither its task nor those after it from running,
/// and hides it from nobody who must not miss it.
async fn a_row_that_cannot_be_read_holds_up_no_other(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let tasks = [(); 2].map(|()| world.task());
    for task in &tasks {
        tx.tasks().insert(task).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    tx.commit().await.unwrap();
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let damage = format!("UPDATE tasks SET details = '{{\"new\":1}}' WHERE id = '{}'", ids[0]);
    world.by_hand(damage).await;
    let claimed = [claim(&world).await.unwrap().id, claim(&world).await.unwrap().id];
    assert_eq!(HashSet::from(claimed), ids.iter().copied().collect());
    let mut tx = world.begin().await;
    assert_eq!(tx.tasks().unfinished_ids().await.unwrap(), ids.iter().copied().collect());
    assert!(tx.tasks().list_unfinished().await.is_err(), "one is missing");
    let readable = tx.tasks().list_readable().await.unwrap();
    assert_eq!(readable.iter().map(|task| task.id).collect::<Vec<_>>(), [ids[1]]);
}
