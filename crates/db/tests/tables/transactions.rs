//! What write and read transactions promise on both engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cbr_env::{Clock, SystemClock};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    what_is_not_committed_is_gone,
    a_read_transaction_sees_one_state_and_cannot_write,
    write_transactions_run_one_after_the_other,
    a_caller_that_goes_away_holds_up_nobody,
}

async fn what_is_not_committed_is_gone(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    tx.settings().set("a", "1").await.unwrap();
    drop(tx);
    let mut tx = world.begin().await;
    tx.settings().set("b", "1").await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = world.read().await;
    assert_eq!(tx.settings().find("a").await.unwrap(), None);
    assert_eq!(tx.settings().find("b").await.unwrap(), None);
}

async fn a_read_transaction_sees_one_state_and_cannot_write(database: TestDatabase) {
    let world = World::on(database).await;
    let mut reader = world.read().await;
    assert_eq!(reader.settings().find("a").await.unwrap(), None);
    let mut writer = world.begin().await;
    writer.settings().set("a", "1").await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(reader.settings().find("a").await.unwrap(), None, "still the old state");
    assert!(reader.settings().set("b", "1").await.is_err());
    drop(reader);
    assert_eq!(world.read().await.settings().find("a").await.unwrap().as_deref(), Some("1"));
}

/// P13, P17: no lost update, without locking rows by hand.
async fn write_transactions_run_one_after_the_other(database: TestDatabase) {
    let world = Arc::new(World::on(database).await);
    let inside = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..20)
        .map(|_| {
            let (world, inside) = (Arc::clone(&world), Arc::clone(&inside));
            tokio::spawn(async move {
                let mut tx = world.begin().await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else is inside");
                let old = tx.settings().find("n").await.unwrap();
                let old: u32 = old.map_or(0, |text| text.parse().unwrap());
                tokio::task::yield_now().await;
                tx.settings().set("n", &(old + 1).to_string()).await.unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
                tx.commit().await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(world.read().await.settings().find("n").await.unwrap().as_deref(), Some("20"));
}

/// A client that hangs up drops its request's future at any point of it, also while
/// it waits for its turn.
async fn a_caller_that_goes_away_holds_up_nobody(database: TestDatabase) {
    let world = Arc::new(World::on(database).await);
    let clock = SystemClock::default();
    let started = clock.monotonic_micros();
    let write = |world: Arc<World>| async move {
        let mut tx = world.begin().await;
        tx.settings().set("n", "1").await.unwrap();
        tx.commit().await.unwrap();
    };
    for round in 0..40 {
        let holder = world.begin().await;
        let callers: Vec<_> = (0..6).map(|_| tokio::spawn(write(Arc::clone(&world)))).collect();
        clock.sleep(Duration::from_micros(round * 500)).await;
        for caller in callers {
            caller.abort();
        }
        holder.commit().await.unwrap();
        write(Arc::clone(&world)).await;
    }
    let taken = clock.monotonic_micros() - started;
    assert!(taken < 15_000_000, "somebody waited for an abandoned transaction: {taken} us");
}
