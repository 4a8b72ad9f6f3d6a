//! What becomes of those who wait for the lock of the writers of PostgreSQL.
//!
//! The lock is held by a session of the test's own, as by another node. Time limits are
//! those of the database, which may be shorter than ours. (P3, P17, P24)

use std::sync::Arc;

use cbr_db::Db;
use cbr_env::SystemClock;
use cbr_testkit::{Engine, TestDatabase};
use sqlx::{Any, AnyPool, Executor, Row, Transaction};

use crate::opening::raw;

/// The lock, held by another session; and a database with these limits.
async fn held(limits: &[&'static str]) -> Option<(Db, AnyPool, Transaction<'static, Any>)> {
    let database = TestDatabase::on(Engine::Postgres)?;
    let other = raw(&database).await;
    for limit in limits {
        other.execute(*limit).await.unwrap();
    }
    let db = Db::open(database.url(), Arc::new(SystemClock::default())).await.unwrap();
    let mut holder = other.begin().await.unwrap();
    holder.execute("SELECT pg_advisory_xact_lock(4844247391)::text").await.unwrap();
    Some((db, other, holder))
}

/// Sets a limit of the database of the session.
const SHORT_LOCK: &str = "DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET lock_timeout = 300', current_database()); END $$";

/// P3: a writer that waited in vain is told to try again, and leaves behind a connection that works.
#[tokio::test]
async fn waiting_in_vain_breaks_no_connection() {
    let Some((db, other, holder)) = held(&[SHORT_LOCK]).await else { return };
    let (one, two, three) = tokio::join!(db.begin(), db.begin(), db.begin());
    for waited in [one, two, three] {
        let refused = waited.unwrap_err();
        assert!(refused.is_transient(), "{refused:?}");
    }
    holder.rollback().await.unwrap();
    for n in 0..32 {
        db.read().await.unwrap().settings().find("a").await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.settings().set("a", &n.to_string()).await.unwrap();
        tx.commit().await.unwrap();
    }
    let aborted = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database()
                   AND state = 'idle in transaction (aborted)'";
    assert_eq!(other.fetch_one(aborted).await.unwrap().get::<i64, _>("n"), 0);
}

/// Authentication is a read: it must not wait for those who wait to write.
#[tokio::test]
async fn who_reads_does_not_wait_for_who_waits_to_write() {
    let Some((db, _other, mut holder)) = held(&[]).await else { return };
    let db = Arc::new(db);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let db = Arc::clone(&db);
            tokio::spawn(async move { db.begin().await.map(drop) })
        })
        .collect();
    // Those that have a connection are at the lock now.
    let at_lock = "SELECT COUNT(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while holder.fetch_one(at_lock).await.unwrap().get::<i64, _>("n") == 0 {}
    let (mut one, mut two) = (db.read().await.unwrap(), db.read().await.unwrap());
    assert_eq!(one.settings().find("a").await.unwrap(), None);
    assert_eq!(two.settings().find("a").await.unwrap(), None);
    let mut beside = db.begin_beside().await.unwrap();
    beside.settings().set("a", "1").await.unwrap();
    beside.commit().await.unwrap();
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()), "the lock is still held");
    holder.rollback().await.unwrap();
    for waiter in waiting {
        waiter.await.unwrap().unwrap();
    }
}

/// Sets a limit of the database of the session.
const SHORT_IDLE: &str = "DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET idle_in_transaction_session_timeout = 300', current_database()); END $$";

/// A node that is frozen with the lock in its hand loses it, and hears of it as of an outage.
#[tokio::test]
async fn who_idles_with_the_lock_loses_it() {
    let Some(database) = TestDatabase::on(Engine::Postgres) else { return };
    raw(&database).await.execute(SHORT_IDLE).await.unwrap();
    let clock = || Arc::new(SystemClock::default());
    let frozen = Db::open(database.url(), clock()).await.unwrap();
    let other = Db::open(database.url(), clock()).await.unwrap();
    let mut held = frozen.begin().await.unwrap();
    held.settings().set("a", "1").await.unwrap();
    let mut tx = other.begin().await.unwrap();
    assert_eq!(tx.settings().find("a").await.unwrap(), None);
    tx.commit().await.unwrap();
    let refused = held.settings().set("b", "1").await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    drop(held);
    frozen.begin().await.unwrap().commit().await.unwrap();
}
