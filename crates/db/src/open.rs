//! Opening a database so that what it calls committed stays committed.
//!
//! The settings are those of `reliability.md` 3.3 and 3.4: on SQLite the ones
//! that survive a power cut, one writer and one process; on PostgreSQL the
//! server is asked whether it keeps the promises, and refused if not.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Executor, Row};

use crate::engine::Engine;
use crate::error::DbError;

/// The oldest SQLite that may open our files: older ones can corrupt a WAL.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// Connections that read a SQLite file at the same time.
const SQLITE_READERS: u32 = 4;
/// Connections to a PostgreSQL server that read. Writers have their own, so that those who wait for
/// the lock leave none of these out.
const POSTGRES_READERS: u32 = 12;
/// Connections to a PostgreSQL server that write. One works, the next ones wait for the lock; more
/// would wait there instead of here.
const POSTGRES_WRITERS: u32 = 4;
/// How long a transaction waits for a connection.
const WAIT: Duration = Duration::from_secs(30);
/// The same, where another node may hold the lock of the writers.
const WAIT_BESIDE_OTHERS: Duration = Duration::from_secs(10);

const SQLITE_WRITER: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 30000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;";
const SQLITE_READER: &str = "
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 30000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA query_only = ON;";
/// Settings of a session in which a transaction may idle for so many milliseconds, and waits for locks
/// for ten seconds. Shorter limits that the operator gave the database or the role stand. Compiling a
/// statement takes longer than any of ours runs.
macro_rules! postgres_session {
    ($idle:literal) => {
        concat!(
            "SELECT set_config(name, LEAST(NULLIF(setting::bigint, 0),
                 CASE name WHEN 'lock_timeout' THEN 10000 ELSE ",
            $idle,
            " END)::text, false)
               FROM pg_settings
              WHERE name IN ('lock_timeout', 'idle_in_transaction_session_timeout');
             SET statement_timeout = '60s';
             SET jit = off;
             SET tcp_keepalives_idle = 10;
             SET tcp_keepalives_interval = 5;
             SET tcp_keepalives_count = 3;
             SET client_min_messages = warning;"
        )
    };
}
const POSTGRES_READER: &str = postgres_session!("30000");
/// A node that stops in the middle of a write, or whose network does, must not hold up the others for
/// longer than this: much less than the lease of a task.
const POSTGRES_WRITER: &str = postgres_session!("10000");

/// What opening gives.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) writer: AnyPool,
    pub(crate) reader: AnyPool,
    pub(crate) lock: Option<ProcessLock>,
}

/// Connects to the database of `url`, checks it, and keeps others out of it.
pub(crate) async fn open(url: &str) -> Result<Opened, DbError> {
    sqlx::any::install_default_drivers();
    if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
        open_sqlite(path).await
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        open_postgres(url).await
    } else {
        Err(DbError::BadUrl("it begins with sqlite:, postgres: or postgresql:".into()))
    }
}

async fn open_sqlite(path: &str) -> Result<Opened, DbError> {
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return Err(DbError::BadUrl("after sqlite: comes the path of a file, nothing more".into()));
    }
    let path = Path::new(path);
    let lock = ProcessLock::take(path)?;
    // The file holds password hashes and sealed keys: created for its owner only.
    private_file(path)?;
    let url = format!("sqlite://{}?mode=rw", escape(&path.to_string_lossy()));
    let writer = pool(&url, 1, SQLITE_WRITER, WAIT).await?;
    check_sqlite(&writer, lock.was_unclean).await?;
    let reader = pool(&url, SQLITE_READERS, SQLITE_READER, WAIT).await?;
    Ok(Opened { engine: Engine::Sqlite, writer, reader, lock: Some(lock) })
}

async fn open_postgres(url: &str) -> Result<Opened, DbError> {
    let reader = pool(url, POSTGRES_READERS, POSTGRES_READER, WAIT).await?;
    check_postgres(&reader).await?;
    let writer = pool(url, POSTGRES_WRITERS, POSTGRES_WRITER, WAIT_BESIDE_OTHERS).await?;
    Ok(Opened { engine: Engine::Postgres, writer, reader, lock: None })
}

async fn pool(
    url: &str,
    connections: u32,
    session: &'static str,
    wait: Duration,
) -> Result<AnyPool, DbError> {
    // The parser's own message would repeat the URL, and with it a password.
    let options: AnyConnectOptions =
        url.parse().map_err(|_| DbError::BadUrl("it does not parse".into()))?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(wait)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(session).await.map(drop) })
        })
        .connect_with(options)
        .await
        .map_err(|error| DbError::from_sqlx("connect", error))
}

async fn text(pool: &AnyPool, query: &'static str) -> Result<String, DbError> {
    let row = sqlx::query(query).fetch_one(pool).await;
    row.and_then(|row| row.try_get(0)).map_err(|error| DbError::from_sqlx("check", error))
}

async fn check_sqlite(pool: &AnyPool, was_unclean: bool) -> Result<(), DbError> {
    let version = text(pool, "SELECT sqlite_version()").await?;
    if parse_version(&version).is_none_or(|version| version < SQLITE_MIN) {
        return Err(DbError::Unsafe(format!("SQLite {version} is older than 3.51.3")));
    }
    let journal = text(pool, "PRAGMA journal_mode").await?;
    if journal != "wal" {
        return Err(DbError::Unsafe(format!("journal_mode is {journal}, not wal")));
    }
    if was_unclean {
        tracing::info!("the database was not closed: checking it");
        let found = text(pool, "PRAGMA quick_check").await?;
        if found != "ok" {
            return Err(DbError::Unsafe(format!("the file is damaged: {found}")));
        }
    }
    Ok(())
}

async fn check_postgres(pool: &AnyPool) -> Result<(), DbError> {
    for (setting, query) in [
        ("fsync", "SELECT current_setting('fsync')"),
        ("full_page_writes", "SELECT current_setting('full_page_writes')"),
        ("synchronous_commit", "SELECT current_setting('synchronous_commit')"),
    ] {
        if text(pool, query).await? == "off" {
            return Err(DbError::Unsafe(format!(
                "{setting} = off: PostgreSQL may lose what it called committed"
            )));
        }
    }
    if text(pool, "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END").await?
        != "primary"
    {
        return Err(DbError::Unsafe("the server is a standby, not the primary".into()));
    }
    if text(pool, "SELECT current_setting('data_checksums')").await? == "off" {
        tracing::warn!("data_checksums = off: PostgreSQL will not notice damaged pages");
    }
    Ok(())
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// A path as it is written in a URL.
fn escape(path: &str) -> String {
    path.replace('%', "%25").replace('#', "%23").replace('?', "%3F").replace(' ', "%20")
}

fn private_file(path: &Path) -> Result<File, DbError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| DbError::File { path: path.to_owned(), source })
}

/// The file beside a SQLite database that one process holds locked.
///
/// Its text says whether the last holder closed the database.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    path: PathBuf,
    file: File,
    was_unclean: bool,
}

impl ProcessLock {
    const OPEN: &str = "open\n";
    const CLOSED: &str = "closed\n";

    fn take(database: &Path) -> Result<Self, DbError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let mut file = private_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DbError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(DbError::File { path, source }),
        }
        let mut text = String::new();
        let read = file.read_to_string(&mut text);
        let was_unclean = read.is_err() || text == Self::OPEN;
        let mut lock = Self { path, file, was_unclean };
        lock.write(Self::OPEN)?;
        Ok(lock)
    }

    /// Notes that the database was closed in order.
    pub(crate) fn mark_closed(&mut self) -> Result<(), DbError> {
        self.write(Self::CLOSED)
    }

    fn write(&mut self, text: &str) -> Result<(), DbError> {
        let written = (|| {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(text.as_bytes())?;
            self.file.sync_all()
        })();
        written.map_err(|source| DbError::File { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("3.51.3") >= Some(SQLITE_MIN));
        assert!(parse_version("3.9.20") < Some(SQLITE_MIN));
        assert_eq!(parse_version("3.x"), None);
    }
}
