//! Crashes, takeovers and zombies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cbr_db::Db;
use cbr_env::{Clock, SystemClock};
use cbr_model::operation::OperationStatus;
use cbr_task::harness::{self, Ended, Fault, crash_matrix};
use cbr_task::{Cause, Options, Outcome};
use cbr_testkit::{Engine, TestDatabase, on_both_engines};
use tokio_util::sync::CancellationToken;

use crate::toy::{Act, Toy, World, entered};

on_both_engines! {
    a_worker_that_slept_through_its_lease_stops_and_another_finishes,
    a_restarted_node_takes_its_tasks_back_without_waiting,
    a_task_of_a_dead_worker_goes_on_where_it_was_saved,
}

async fn fresh() -> harness::World<Toy> {
    // The matrix is about the engine's logic; the queries behind it are shown on
    // both databases elsewhere.
    let world = World::on(TestDatabase::sqlite()).await;
    let task = world.enqueue(2).await;
    let clock: Arc<dyn Clock> = Arc::new(world.manual.clone());
    let (db, ctx) = (Arc::clone(&world.db), Arc::clone(&world.outside));
    harness::World { db, clock, ctx, task, keep: Box::new(world) }
}

async fn check(world: &harness::World<Toy>, fault: Fault, ended: &Ended) {
    assert!(world.ctx.open.lock().unwrap().is_empty(), "left open: {fault:?}");
    let mut tx = world.db.read().await.unwrap();
    for stage in ["close", "done"] {
        let times = entered(&mut tx, stage).await.unwrap();
        assert_eq!(times, 1, "{stage} entered more or less than once: {fault:?}");
    }
    match &ended.outcome {
        Outcome::Success => {
            assert_eq!(world.ctx.done.lock().unwrap().len(), 2, "{fault:?}");
            assert_eq!(entered(&mut tx, "work 1").await.unwrap(), 1, "{fault:?}");
        }
        Outcome::Failed(failure) => {
            assert_eq!(failure.cause, Cause::Cancelled, "{fault:?}");
            assert!(matches!(fault, Fault::CancelBefore(0..=2)), "{fault:?}");
        }
        Outcome::Skipped(_) => panic!("{fault:?}"),
    }
}

/// P3, P14: what entering a stage writes happens exactly once, what a step does
/// outside is closed again, whatever happens where.
#[tokio::test]
async fn a_crash_at_any_step_changes_nothing() {
    crash_matrix(fresh, check).await;
}

#[tokio::test]
async fn a_cancelled_task_of_the_matrix_has_failed() {
    for step in 0..3 {
        let world = fresh().await;
        let ended = harness::run(&world, Fault::CancelBefore(step)).await;
        assert!(matches!(ended.outcome, Outcome::Failed(_)), "step {step}");
    }
    let ended = harness::run(&fresh().await, Fault::CancelBefore(3)).await;
    assert_eq!(ended.outcome, Outcome::Success, "closing cannot be cancelled");
}

/// P14, P23: the worker notices by its own clock, asks nobody, and saves nothing.
async fn a_worker_that_slept_through_its_lease_stops_and_another_finishes(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::UntilCancelled]);
    let task = world.enqueue(1).await;
    let shutdown = CancellationToken::new();
    let first = tokio::spawn(world.engine().run(shutdown.clone()));
    world.until("the step runs", async || world.entered("work 0").await == 1).await;
    let before = world.record(task).await;
    assert_eq!(before.fencing, 1);
    // Twice: a beat that is just then renewing may still make it the first time.
    world
        .until("taken over", async || {
            world.manual.advance(Duration::from_secs(31));
            world.record(task).await.fencing > 1
        })
        .await;
    world.until("ended", async || world.record(task).await.ended_at.is_some()).await;
    let after = world.record(task).await;
    assert_eq!(after.status, OperationStatus::Success);
    assert_eq!(world.entered("done").await, 1);
    let is_idle = async || world.outside.working.load(Ordering::SeqCst) == 0;
    world.until("the first worker stopped by itself", is_idle).await;
    shutdown.cancel();
    world.manual.advance(Duration::from_secs(1));
    first.await.unwrap();
}

/// P14: a restarted node goes on at once; another one waits for the lease.
async fn a_restarted_node_takes_its_tasks_back_without_waiting(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Progress(30), Act::Hang]);
    let task = world.enqueue(3).await;
    let dead = tokio::spawn(world.engine().run(CancellationToken::new()));
    world.until_played().await;
    dead.abort();
    let _ = dead.await;
    let other = Options { node: "other".into(), ..World::options() };
    assert_eq!(world.engine_with(other).take_back().await.unwrap(), 0, "not its own");
    assert_eq!(world.run_due().await, 0, "the lease holds");
    assert_eq!(world.engine().take_back().await.unwrap(), 1);
    world.script([Act::Progress(10)]);
    assert_eq!(world.run_due().await, 1);
    assert_eq!(world.record(task).await.status, OperationStatus::Success);
}

async fn a_task_of_a_dead_worker_goes_on_where_it_was_saved(database: TestDatabase) {
    let world = World::on(database).await;
    world.script([Act::Progress(30), Act::Hang]);
    let task = world.enqueue(3).await;
    let engine = tokio::spawn(world.engine().run(CancellationToken::new()));
    world.until_played().await;
    engine.abort();
    let _ = engine.await;
    assert_eq!(world.run_due().await, 0, "the lease holds");
    world.manual.advance(Duration::from_secs(31));
    world.script([Act::Progress(10)]);
    assert_eq!(world.run_due().await, 1);
    let record = world.record(task).await;
    assert_eq!((record.status, record.fencing), (OperationStatus::Success, 2));
    assert_eq!(world.entered("work 1").await, 1, "saved before the crash, not entered again");
    assert_eq!(world.outside.done.lock().unwrap().len(), 3);
}

/// P3, P23: another node that holds up all writers for longer than a lease costs no task its lease.
#[tokio::test]
async fn who_holds_up_the_writers_costs_no_lease() {
    let Some(database) = TestDatabase::on(Engine::Postgres) else { return };
    let other = Db::open(database.url(), Arc::new(SystemClock::default())).await.unwrap();
    let world = World::in_real_time(database).await;
    world.script([Act::UntilCancelled]);
    let task = world.enqueue(1).await;
    let lease = Duration::from_secs(2);
    let engine = world.engine_with(Options { lease, ..World::options() });
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(engine.run(shutdown.clone()));
    world.until("the step runs", async || world.entered("work 0").await == 1).await;
    let held = other.begin().await.unwrap();
    let from = world.record(task).await.updated_at;
    let renewed_for = async || world.record(task).await.updated_at.micros_since(from);
    world.until("renewed beyond a lease", async || renewed_for().await > 2_000_000).await;
    assert_eq!(world.record(task).await.fencing, 1);
    assert_eq!(world.outside.working.load(Ordering::SeqCst), 1, "it still works");
    held.rollback().await.unwrap();
    shutdown.cancel();
    working.await.unwrap();
}
