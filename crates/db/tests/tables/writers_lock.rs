//! What becomes of those who wait for the lock of the writers of PostgreSQL.
//!
//! The lock is held by a session of the test's own, as by another node. Time limits are
//! those of the database, which may be shorter than ours.

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
