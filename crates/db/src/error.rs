//! What can go wrong with the database, by what the caller would do about it.

use std::path::PathBuf;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database cannot be reached or is overloaded: try again later.
    #[error("the database is not available for: {operation}")]
    Unavailable {
        /// What was wanted.
        operation: &'static str,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// A row with the same unique value exists already.
    #[error("a unique value is taken already: {operation}")]
    Taken {
        /// What was wanted.
        operation: &'static str,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// A row that others refer to cannot go, or one that is referred to is absent.
    #[error("rows that belong together would come apart: {operation}")]
    StillReferenced {
        /// What was wanted.
        operation: &'static str,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// Any other refusal of the database: a defect of ours.
    #[error("the database refused: {operation}")]
    Internal {
        /// What was wanted.
        operation: &'static str,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value has no meaning: the row was damaged or written by a newer version.
    #[error("table {table}, column {column}, row {row}: {reason}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id, as far as it could be read.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A list's marker names no row of that list.
    #[error("the marker names no row of the list")]
    UnknownMarker,
    /// The database URL means nothing to us.
    #[error("bad database URL: {0}")]
    BadUrl(String),
    /// Another process has the database open.
    #[error("{} is held by another process", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// A file beside the database cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database was written by a newer version of this program.
    #[error("the database has migration {found}, this version knows {known}: use a newer version")]
    TooNew {
        /// The newest migration in it.
        found: i64,
        /// The newest we know.
        known: i64,
    },
    /// A migration that ran once has another text now.
    #[error("migration {number} ran with another text: the database belongs to another version")]
    ForeignMigration {
        /// Which one.
        number: i64,
    },
    /// The engine does not keep what it promises: using it would lose committed data.
    #[error("the database is not safe to use: {0}")]
    Unsafe(String),
}

impl DbError {
    /// Sorts a driver's error.
    pub(crate) fn from_sqlx(operation: &'static str, source: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        match &source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable { operation, source },
            sqlx::Error::Database(refusal) => match refusal.kind() {
                ErrorKind::UniqueViolation => Self::Taken { operation, source },
                ErrorKind::ForeignKeyViolation => Self::StillReferenced { operation, source },
                _ if refusal.code().is_some_and(|code| is_transient(&code)) => {
                    Self::Unavailable { operation, source }
                }
                _ => Self::Internal { operation, source },
            },
            _ => Self::Internal { operation, source },
        }
    }

    /// Whether trying again later may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// SQLite: busy, locked, I/O error, full. PostgreSQL (five characters): connection,
/// resources, operator intervention, lock not available, serialisation, deadlock, and the two ends of
/// a transaction that somebody else ended: it failed before, it idled too long.
fn is_transient(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            || ["55P03", "40001", "40P01", "25P02", "25P03"].contains(&code);
    }
    // The low byte of SQLite's extended codes is the primary code.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_passes_is_told_from_trouble_that_stays() {
        for code in [
            "5", "6", "10", "13", "261", "778", "08006", "53300", "57P01", "55P03", "25P02",
            "25P03",
        ] {
            assert!(is_transient(code), "{code}");
        }
        for code in ["1", "19", "2067", "23505", "42601", "22P02", ""] {
            assert!(!is_transient(code), "{code}");
        }
    }
}
