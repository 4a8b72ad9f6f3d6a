//! Opening: locks, migrations, settings that keep committed data.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use cbr_db::{Db, DbError};
use cbr_env::{Clock, ManualClock, SystemClock};
use cbr_model::Timestamp;
use cbr_testkit::{Engine, TestDatabase, on_both_engines};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor, Row};

on_both_engines! {
    opening_again_finds_what_was_there,
    a_newer_database_is_refused,
    a_changed_migration_is_refused,
    a_value_without_meaning_is_named,
    an_interrupted_start_is_made_good_by_the_next,
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(Timestamp(1)))
}

/// A connection of the test's own, past the crate.
pub(crate) async fn raw(database: &TestDatabase) -> AnyPool {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap()
}

async fn opening_again_finds_what_was_there(database: TestDatabase) {
    for round in 0..3 {
        let db = Db::open(database.url(), clock()).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let found = tx.settings().find("round").await.unwrap();
        assert_eq!(found, (round > 0).then(|| (round - 1).to_string()));
        tx.settings().set("round", &round.to_string()).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await.unwrap();
    }
}

/// P18: never backwards.
async fn a_newer_database_is_refused(database: TestDatabase) {
    Db::open(database.url(), clock()).await.unwrap().close().await.unwrap();
    let pool = raw(&database).await;
    pool.execute("INSERT INTO schema_migrations (number, digest, applied_at) VALUES (999, 'x', 0)")
        .await
        .unwrap();
    pool.close().await;
    let refused = Db::open(database.url(), clock()).await;
    assert!(matches!(refused, Err(DbError::TooNew { found: 999, .. })), "{refused:?}");
}

async fn a_changed_migration_is_refused(database: TestDatabase) {
    Db::open(database.url(), clock()).await.unwrap().close().await.unwrap();
    let pool = raw(&database).await;
    pool.execute("UPDATE schema_migrations SET digest = 'x' WHERE number = 2").await.unwrap();
    pool.close().await;
    let refused = Db::open(database.url(), clock()).await;
    assert!(matches!(refused, Err(DbError::ForeignMigration { number: 2 })), "{refused:?}");
}

async fn a_value_without_meaning_is_named(database: TestDatabase) {
    let db = Db::open(database.url(), clock()).await.unwrap();
    let pool = raw(&database).await;
    pool.execute("INSERT INTO domains (id, name) VALUES ('nonsense', 'acme')").await.unwrap();
    pool.close().await;
    let found = db.read().await.unwrap().domains().find_by_name("acme").await;
    let error = found.unwrap_err();
    assert_eq!(
        error.to_string(),
        "table domains, column id, row nonsense: `nonsense` is not a domain id"
    );
}

/// P18: a start that dies at any moment of the migrations leaves a database that the
/// next start completes.
async fn an_interrupted_start_is_made_good_by_the_next(database: TestDatabase) {
    let real = SystemClock::default();
    for delay in 1..25_u64 {
        let url = database.url().to_owned();
        let start = tokio::spawn(async move { Db::open(&url, clock()).await.map(drop) });
        real.sleep(Duration::from_micros(delay * delay * 50)).await;
        start.abort();
        let _ = start.await;
    }
    let db = Db::open(database.url(), clock()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.settings().set("a", "1").await.unwrap();
    assert_eq!(tx.tasks().list_unfinished().await.unwrap(), []);
    tx.commit().await.unwrap();
    db.close().await.unwrap();
}

/// A database server that restarts is an outage, not the end.
#[tokio::test]
async fn lost_connections_are_replaced() {
    let Some(database) = TestDatabase::on(Engine::Postgres) else { return };
    let db = Db::open(database.url(), clock()).await.unwrap();
    let mut cut_off = db.begin().await.unwrap();
    cut_off.settings().set("a", "1").await.unwrap();
    let pool = raw(&database).await;
    let others = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    pool.execute(others).await.unwrap();
    let error = cut_off.settings().set("b", "1").await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    drop(cut_off);
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.settings().find("a").await.unwrap(), None);
    tx.settings().set("a", "2").await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn one_process_opens_a_sqlite_file() {
    let database = TestDatabase::sqlite();
    let db = Db::open(database.url(), clock()).await.unwrap();
    let second = Db::open(database.url(), clock()).await;
    assert!(matches!(second, Err(DbError::InUse { .. })), "{second:?}");
    db.close().await.unwrap();
    drop(db);
    Db::open(database.url(), clock()).await.unwrap();
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    let database = TestDatabase::sqlite();
    let _db = Db::open(database.url(), clock()).await.unwrap();
    let path = database.path().unwrap();
    for name in ["cbr.db", "cbr.db.lock", "cbr.db-wal"] {
        let mode = path.with_file_name(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

/// Reliability 3.3: the bundled SQLite, new enough, with the settings that keep data.
#[tokio::test]
async fn sqlite_is_the_one_we_ship() {
    let database = TestDatabase::sqlite();
    Db::open(database.url(), clock()).await.unwrap().close().await.unwrap();
    let pool = raw(&database).await;
    let row = pool.fetch_one("SELECT sqlite_version()").await.unwrap();
    assert_eq!(row.get::<String, _>(0), "3.51.3");
    let row = pool.fetch_one("PRAGMA journal_mode").await.unwrap();
    assert_eq!(row.get::<String, _>(0), "wal");
}

/// Reliability 3.3: a damaged file is noticed when the last run did not close it.
#[tokio::test]
async fn a_damaged_file_is_refused_after_an_unclean_stop() {
    let database = TestDatabase::sqlite();
    let path = database.path().unwrap();
    Db::open(database.url(), clock()).await.unwrap().close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let page = 4096;
    for byte in &mut bytes[page * 2..page * 6] {
        *byte = 0xa5;
    }
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(path.with_file_name("cbr.db.lock"), "open\n").unwrap();
    let refused = Db::open(database.url(), clock()).await;
    assert!(matches!(refused, Err(DbError::Unsafe(_) | DbError::Internal { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_bad_url_is_refused_without_repeating_it() {
    for url in ["mysql://u:secret@h/db", "sqlite::memory:", "sqlite:", "postgres://u:secret@[/db"] {
        let error = Db::open(url, clock()).await.unwrap_err();
        assert!(matches!(error, DbError::BadUrl(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
}
