//! What differs between SQLite and PostgreSQL: all of it.

/// A database engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    /// A file, one process.
    Sqlite,
    /// A server, any number of processes.
    Postgres,
}

impl Engine {
    /// Begins a write transaction. It runs alone once it has the [`writers_lock`](Self::writers_lock).
    pub(crate) const fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// The first statement of a write transaction, where beginning it does not keep others out.
    ///
    /// SQLite has one writer by nature. On PostgreSQL a lock held to the end of
    /// the transaction gives the same, and READ COMMITTED lets every statement
    /// after it see all that was committed before. It may fail, by the time limit of locks;
    /// so it must not be part of the begin: the driver rolls back only what it knows has begun.
    pub(crate) const fn writers_lock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            // As a text, because the driver cannot read a void.
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(4844247391)::text"),
        }
    }

    /// Begins a transaction that sees one state and changes nothing.
    pub(crate) const fn begin_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// An expression that is not 0 where `column` contains the text that follows.
    /// (LIKE ignores case on SQLite only.)
    pub(crate) const fn position_function(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }

    /// A migration in the engine's words. Texts compare by their bytes on both. What follows a line
    /// `-- only NAME` is for the engine of that name, up to the next such line; after `-- only end`
    /// for both again.
    pub(crate) fn translate(self, migration: &str) -> String {
        let mut own = String::with_capacity(migration.len());
        let mut is_own = true;
        for line in migration.split_inclusive('\n') {
            match line.trim_end().strip_prefix("-- only ") {
                Some(name) => is_own = name == "end" || name == self.name(),
                None if is_own => own.push_str(line),
                None => {}
            }
        }
        match self {
            Self::Sqlite => own,
            Self::Postgres => {
                own.replace(" TEXT", " TEXT COLLATE \"C\"").replace(" BLOB", " BYTEA")
            }
        }
    }

    /// The name for people and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_migration_may_be_for_one_engine() {
        let text = "a TEXT\n-- only sqlite\nb\n-- only postgresql\nc BLOB\n-- only end\nd\n";
        assert_eq!(Engine::Sqlite.translate(text), "a TEXT\nb\nd\n");
        assert_eq!(Engine::Postgres.translate(text), "a TEXT COLLATE \"C\"\nc BYTEA\nd\n");
    }
}
