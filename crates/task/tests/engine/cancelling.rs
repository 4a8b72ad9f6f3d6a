//! Cancellation, time limit, shutdown.

use std::time::Duration;

use cbr_model::operation::OperationStatus;
use cbr_testkit::{TestDatabase, on_both_engines};
use tokio_util::sync::CancellationToken;

use crate::toy::{Act, World};

on_both_engines! {
    a_task_cancelled_before_it_begins_does_no_work,
    a_running_step_hears_of_the_wish_to_cancel,
    a_pausing_task_is_cancelled_at_once,
    a_task_ends_at_its_time_limit,
    a_shutdown_puts_the_task_back_and_the_next_start_finishes_it,
    a_step_that_does_not_stop_is_dropped_and_taken_over_later,
}

async fn a_task_cancelled_before_it_begins_does_no_work(database: TestDatabase) {
    let world = World::on(database).await;
    let task = world.enqueue(1).await;
    assert!(world.cancel(task).await);
    world.run_due().await;
    let record = world.record(task).await;
    assert_eq!(record.status, OperationStatus::Failed);
    assert_eq!(record.error.unwrap().message, "Cancelled on request.");
    assert_eq!(world.entered("work 0").await, 0);
    assert_eq!(world.entered("done").await, 1);
    assert!(!world.cancel(task).await, "it has ended");
}

async fn a_running_step_hears_of_the_wish_to_cancel(database: TestDatabase) {
    let world = World::in_real_time(database).await;
    world.script([Act::UntilCancelled]);
    let task = world.enqueue(1).await;
    let shutdown = CancellationToken::new();
    let engine = tokio::spawn(world.engine().run(shutdown.clone()));
    world.until("the step runs", async || world.entered("work 0").await == 1).await;
    // The bell may ring between two beats; then the next renewal brings the word.
    world
        .until("ended", async || {
            world.cancel(task).await;
            world.record(task).await.ended_at.is_some()
        })
        .await;
    assert_eq!(world.record(task).await.status, OperationStatus::Failed);
    assert!(world.outside.open.lock().unwrap().is_empty());
    shutdown.cancel();
    engine.await.unwrap();
}

async fn a_pausing_task_is_cancelled_at_once(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Wait(Duration::from_hours(1))]);
    let task = world.enqueue(1).await;
    assert_eq!(world.run_due().await, 1);
    assert_eq!(world.run_due().await, 0);
    assert!(world.cancel(task).await);
    assert_eq!(world.run_due().await, 1);
    assert_eq!(world.record(task).await.status, OperationStatus::Failed);
    assert_eq!(world.entered("close").await, 1);
}

async fn a_task_ends_at_its_time_limit(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Wait(Duration::from_mins(61)), Act::UntilCancelled]);
    let task = world.enqueue(1).await;
    world.run_due().await;
    world.manual.advance(Duration::from_mins(61));
    let engine = tokio::spawn(world.engine().run_due());
    world
        .until("ended", async || {
            world.manual.advance(Duration::from_millis(20));
            world.record(task).await.ended_at.is_some()
        })
        .await;
    engine.await.unwrap().unwrap();
    let record = world.record(task).await;
    assert_eq!(record.status, OperationStatus::Timeout);
    assert!(world.outside.open.lock().unwrap().is_empty());
}

async fn a_shutdown_puts_the_task_back_and_the_next_start_finishes_it(database: TestDatabase) {
    let world = World::in_real_time(database).await;
    world.script([Act::UntilCancelled]);
    let task = world.enqueue(1).await;
    let shutdown = CancellationToken::new();
    let engine = tokio::spawn(world.engine().run(shutdown.clone()));
    world.until("the step runs", async || world.entered("work 0").await == 1).await;
    shutdown.cancel();
    engine.await.unwrap();
    let record = world.record(task).await;
    assert_eq!((record.status, record.attempts), (OperationStatus::Running, 0), "no try counted");
    assert_eq!(world.run_due().await, 1, "no lease to wait for");
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
}

async fn a_step_that_does_not_stop_is_dropped_and_taken_over_later(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Hang]);
    let task = world.enqueue(1).await;
    let shutdown = CancellationToken::new();
    let engine = tokio::spawn(world.engine().run(shutdown.clone()));
    world.until_played().await;
    shutdown.cancel();
    world
        .until("the engine stops", async || {
            world.manual.advance(Duration::from_millis(50));
            engine.is_finished()
        })
        .await;
    world.manual.advance(Duration::from_secs(31));
    assert_eq!(world.run_due().await, 1);
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
}
