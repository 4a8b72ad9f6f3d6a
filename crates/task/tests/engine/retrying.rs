//! Retries, waits, failures, panics, unreadable stages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cbr_model::operation::OperationStatus;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::toy::{Act, World};

on_both_engines! {
    a_step_is_tried_again_after_growing_pauses_and_then_unwinds,
    a_step_that_gets_through_starts_counting_again,
    a_retry_that_got_further_starts_counting_again,
    waiting_is_not_failing,
    a_failed_task_cleans_up_and_says_why,
    a_step_that_panics_is_tried_again_and_then_unwinds,
    what_entering_a_stage_wrote_is_undone_when_it_fails,
    a_stage_that_cannot_be_read_is_left_alone,
    tasks_of_other_kinds_are_left_alone,
}

async fn a_step_is_tried_again_after_growing_pauses_and_then_unwinds(database: TestDatabase) {
    let world = World::on(database).await;
    world.script(vec![Act::Retry; 8]);
    let task = world.enqueue(1).await;
    assert_eq!(world.run_due().await, 1);
    for pause in [1, 2, 4, 8, 16, 32, 60] {
        assert_eq!(world.record(task).await.status, OperationStatus::Running);
        world.manual.advance(Duration::from_micros(pause * 1_000_000 - 1));
        assert_eq!(world.run_due().await, 0, "not before {pause} s");
        world.manual.advance(Duration::from_micros(1));
        assert_eq!(world.run_due().await, 1, "after {pause} s");
    }
    assert_eq!(world.outside.tries.load(Ordering::SeqCst), 8);
    let record = world.record(task).await;
    assert_eq!(record.status, OperationStatus::Failed);
    let error = record.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("BackupService.0001", "the store is away")
    );
    assert!(world.outside.open.lock().unwrap().is_empty(), "closed on the way out");
}

async fn a_step_that_gets_through_starts_counting_again(database: TestDatabase) {
    let world = World::on(database).await;
    let task = world.enqueue(3).await;
    for _ in 0..2 {
        // Seven failures and a success, for two of the parts.
        world.script(vec![Act::Retry; 7]);
        world.script([Act::Progress(1)]);
    }
    for _ in 0..20 {
        world.run_due().await;
        world.manual.advance(Duration::from_mins(1));
    }
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
    assert_eq!(world.outside.tries.load(Ordering::SeqCst), 17);
}

async fn a_retry_that_got_further_starts_counting_again(database: TestDatabase) {
    let world = World::on(database).await;
    let task = world.enqueue(2).await;
    world.script(vec![Act::Retry; 7]);
    // The eighth try of the first part is the first of the second.
    world.script([Act::RetryFurther]);
    world.script(vec![Act::Retry; 6]);
    for _ in 0..20 {
        world.run_due().await;
        world.manual.advance(Duration::from_mins(1));
    }
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
}

async fn waiting_is_not_failing(database: TestDatabase) {
    let world = World::on(database).await;
    world.script(vec![Act::Wait(Duration::from_secs(5)); 30]);
    let task = world.enqueue(1).await;
    for _ in 0..31 {
        assert_eq!(world.run_due().await, 1);
        world.manual.advance(Duration::from_secs(5));
    }
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
}

async fn a_failed_task_cleans_up_and_says_why(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Fail]);
    let task = world.enqueue(1).await;
    assert_eq!(world.run_due().await, 1);
    let record = world.record(task).await;
    assert_eq!(record.status, OperationStatus::Failed);
    assert_eq!(record.error.unwrap().code, "BackupService.0002");
    assert_eq!((world.entered("close").await, world.entered("done").await), (1, 1));
    assert!(world.outside.open.lock().unwrap().is_empty());
}

async fn a_step_that_panics_is_tried_again_and_then_unwinds(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Panic]);
    let once = world.enqueue(1).await;
    world.run_due().await;
    world.manual.advance(Duration::from_mins(1));
    world.run_due().await;
    assert_eq!(world.record(once).await.status, OperationStatus::Success);
    world.script(vec![Act::Panic; 50]);
    let always = world.enqueue(1).await;
    for _ in 0..12 {
        world.run_due().await;
        world.manual.advance(Duration::from_mins(1));
    }
    let record = world.record(always).await;
    assert_eq!(record.status, OperationStatus::Failed);
    assert_eq!(record.error.unwrap().code, "BackupService.9910");
    assert_eq!(world.outside.tries.load(Ordering::SeqCst), 2 + 8);
}

async fn what_entering_a_stage_wrote_is_undone_when_it_fails(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::FailEnter]);
    let task = world.enqueue(1).await;
    world.run_due().await;
    let record = world.record(task).await;
    assert!(record.stage.contains("\"work\""), "{}", record.stage);
    assert_eq!(world.entered("close").await, 0, "undone together with the save");
    world.manual.advance(Duration::from_secs(1));
    world.run_due().await;
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
    assert_eq!(world.entered("close").await, 1);
}

async fn a_stage_that_cannot_be_read_is_left_alone(database: TestDatabase) {
    let world = World::on(database).await;
    let stage = "{\"stage\":\"from the future\"}".to_owned();
    let task = world.enqueue_with(1, |task| task.stage.clone_from(&stage)).await;
    assert_eq!(world.run_due().await, 1);
    let record = world.record(task).await;
    assert_eq!((record.status, &record.stage), (OperationStatus::Running, &stage));
    assert_eq!(world.run_due().await, 0, "not again at once");
}

async fn tasks_of_other_kinds_are_left_alone(database: TestDatabase) {
    let world = World::on(database).await;
    let task = world.enqueue_with(1, |task| task.kind = "other".into()).await;
    assert_eq!(world.run_due().await, 0);
    assert_eq!(world.record(task).await.status, OperationStatus::Waiting);
}
