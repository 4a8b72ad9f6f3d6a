//! The database of this installation.

use std::sync::{Arc, Mutex, PoisonError};

use cbr_env::Clock;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, SqlSafeStr, Transaction};

use crate::engine::Engine;
use crate::error::DbError;
use crate::migrate::migrate;
use crate::open::{Opened, ProcessLock, open};
use crate::tx::Tx;

/// An open database. Shared by everybody in the process.
#[derive(Debug)]
pub struct Db {
    engine: Engine,
    writer: AnyPool,
    reader: AnyPool,
    lock: Mutex<Option<ProcessLock>>,
    clock: Arc<dyn Clock>,
}

impl Db {
    /// Opens the database of `url` and brings it to the newest migration.
    ///
    /// `sqlite:<path>` makes the file when it is absent;
    /// `postgres://user:password@host/name` wants the database to exist.
    pub async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<Self, DbError> {
        let Opened { engine, writer, reader, lock } = open(url).await?;
        let db = Self { engine, writer, reader, lock: Mutex::new(lock), clock };
        migrate(&db).await?;
        Ok(db)
    }

    /// A transaction that may write. It waits until it is the only one, so keep
    /// it short and never wait in it for anything but the database; beginning a
    /// second one while holding the first waits in vain.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_on(&self.writer, self.engine.begin_write(), self.engine.writers_lock()).await
    }

    /// A transaction that may write, beside others that do: for a heartbeat, which must come through
    /// while somebody holds the lock of the writers, and for what a unique key decides. It changes
    /// one row, in one statement that itself says when it may; no decision may rest on what it has read.
    pub async fn begin_beside(&self) -> Result<Tx, DbError> {
        let pool = match self.engine {
            Engine::Sqlite => &self.writer,
            Engine::Postgres => &self.reader,
        };
        self.begin_on(pool, self.engine.begin_write(), None).await
    }

    /// A transaction that only reads, and sees one state from its first query on.
    pub async fn read(&self) -> Result<Tx, DbError> {
        self.begin_on(&self.reader, self.engine.begin_read(), None).await
    }

    async fn begin_on(
        &self,
        pool: &AnyPool,
        statement: &'static str,
        lock: Option<&'static str>,
    ) -> Result<Tx, DbError> {
        let failed = |error| DbError::from_sqlx("begin a transaction", error);
        let connection = pool.acquire().await.map_err(failed)?;
        // On a task of its own, because a caller may go away while it waits: dropped in
        // the middle, the driver would give the connection back with an open
        // transaction, and on PostgreSQL with the lock of all writers.
        let begun = tokio::spawn(begin(connection, statement, lock));
        let inner = begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)).map_err(failed)?;
        Ok(Tx::new(inner, self.engine, self.clock.now()))
    }

    /// `sqlite` or `postgresql`, for people.
    pub const fn engine_name(&self) -> &'static str {
        self.engine.name()
    }

    /// Closes the database after the last transaction. Without it the next start checks the file.
    pub async fn close(&self) -> Result<(), DbError> {
        self.reader.close().await;
        self.writer.close().await;
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        lock.map_or(Ok(()), |mut lock| lock.mark_closed())
    }
}

/// Begins a transaction and takes its lock; one that cannot have the lock is rolled back, so that its
/// connection is as good as before.
async fn begin(
    connection: PoolConnection<Any>,
    statement: &'static str,
    lock: Option<&'static str>,
) -> sqlx::Result<Transaction<'static, Any>> {
    let mut inner = Transaction::begin(connection, Some(statement.into_sql_str())).await?;
    let Some(lock) = lock else { return Ok(inner) };
    let locked = sqlx::raw_sql(lock).execute(&mut *inner).await;
    if let Err(error) = locked {
        if let Err(error) = inner.rollback().await {
            tracing::debug!(%error, "a connection is lost with the transaction it began");
        }
        return Err(error);
    }
    Ok(inner)
}
