//! Several workers, exclusive keys, progress.

use std::sync::atomic::Ordering;

use cbr_model::operation::OperationStatus;
use cbr_testkit::{TestDatabase, on_both_engines};
use tokio_util::sync::CancellationToken;

use crate::toy::{Act, World};

on_both_engines! {
    tasks_of_one_key_run_one_after_the_other,
    tasks_without_a_key_run_side_by_side,
    progress_is_saved_while_a_step_runs,
    each_task_ends_exactly_once_with_several_engines,
}

async fn tasks_of_one_key_run_one_after_the_other(database: TestDatabase) {
    let world = World::in_real_time(database).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let key = Some("resource:1".to_owned());
        tasks.push(world.enqueue_with(3, |task| task.exclusive_key = key).await);
    }
    let shutdown = CancellationToken::new();
    let engine = tokio::spawn(world.engine().run(shutdown.clone()));
    for task in tasks {
        world.until("ended", async || world.record(task).await.ended_at.is_some()).await;
        assert_eq!(world.record(task).await.status, OperationStatus::Success);
    }
    assert_eq!(world.outside.most_working.load(Ordering::SeqCst), 1);
    shutdown.cancel();
    engine.await.unwrap();
}

async fn tasks_without_a_key_run_side_by_side(database: TestDatabase) {
    let world = World::in_real_time(database).await;
    world.script(vec![Act::UntilCancelled; 4]);
    for _ in 0..4 {
        world.enqueue(1).await;
    }
    let shutdown = CancellationToken::new();
    let engine = tokio::spawn(world.engine().run(shutdown.clone()));
    let four = async || world.outside.working.load(Ordering::SeqCst) == 4;
    world.until("four at a time", four).await;
    shutdown.cancel();
    engine.await.unwrap();
}

/// TSK-05; the contract's progress never runs backwards, also after a restart.
async fn progress_is_saved_while_a_step_runs(database: TestDatabase) {
    let world = World::in_real_time(database).await;
    world.script([Act::Progress(37), Act::UntilCancelled, Act::Progress(12)]);
    let task = world.enqueue(3).await;
    let shutdown = CancellationToken::new();
    let engine = tokio::spawn(world.engine().run(shutdown.clone()));
    world.until("saved", async || world.record(task).await.progress == 37).await;
    world.until("the second part runs", async || world.entered("work 1").await == 1).await;
    shutdown.cancel();
    engine.await.unwrap();
    assert_eq!(world.record(task).await.progress, 37);
    world.script([Act::Fail]);
    world.run_due().await;
    let record = world.record(task).await;
    assert_eq!((record.status, record.progress), (OperationStatus::Failed, 37));
}

/// P14: two engines on one database, as two nodes would be.
async fn each_task_ends_exactly_once_with_several_engines(database: TestDatabase) {
    let world = World::in_real_time(database).await;
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(world.enqueue(1).await);
    }
    let shutdown = CancellationToken::new();
    let engines: Vec<_> =
        (0..2).map(|_| tokio::spawn(world.engine().run(shutdown.clone()))).collect();
    for task in tasks {
        world.until("ended", async || world.record(task).await.ended_at.is_some()).await;
        assert_eq!(world.record(task).await.fencing, 1);
    }
    assert_eq!(world.entered("done").await, 20);
    shutdown.cancel();
    for engine in engines {
        engine.await.unwrap();
    }
}
