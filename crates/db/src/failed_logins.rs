//! Table `failed_logins`: logins of users that failed, by the network they came from. How many failed
//! from anywhere is in `users`.

use cbr_model::{Timestamp, UserId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// What is remembered of logins that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FailedLogins {
    /// How many since `since`.
    pub count: u64,
    /// When the first of them was.
    pub since: Timestamp,
    /// Until then no login succeeds.
    pub locked_until: Timestamp,
}

impl FailedLogins {
    /// None failed.
    pub const NONE: Self = Self { count: 0, since: Timestamp(0), locked_until: Timestamp(0) };
}

/// The table of logins that failed.
#[derive(Debug)]
pub struct LoginFailures<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl LoginFailures<'_> {
    /// What failed for the user from one network.
    pub async fn from(&mut self, user: UserId, network: &str) -> Result<FailedLogins, DbError> {
        let sql = Sql::new(
            "SELECT user_id AS id, failures AS failed_logins, failed_since, locked_until
             FROM failed_logins WHERE user_id = $1 AND network = $2",
        );
        self.one("failed_logins.from", sql.bind(user).bind(network)).await
    }

    /// Remembers what failed for the user from one network.
    pub async fn set_from(
        &mut self,
        user: UserId,
        network: &str,
        failed: FailedLogins,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO failed_logins (user_id, network, failures, failed_since, locked_until)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (user_id, network) DO UPDATE SET failures = excluded.failures,
                 failed_since = excluded.failed_since, locked_until = excluded.locked_until",
        )
        .bind(user)
        .bind(network)
        .bind(failed.count)
        .bind(failed.since)
        .bind(failed.locked_until);
        self.tx.execute("failed_logins.set_from", sql).await.map(drop)
    }

    /// What failed for the user from anywhere.
    pub async fn anywhere(&mut self, user: UserId) -> Result<FailedLogins, DbError> {
        let sql = Sql::new(
            "SELECT id, failed_logins, failed_since, locked_until FROM users WHERE id = $1",
        );
        self.one("failed_logins.anywhere", sql.bind(user)).await
    }

    /// Remembers what failed for the user from anywhere; says whether the user exists.
    pub async fn set_anywhere(
        &mut self,
        user: UserId,
        failed: FailedLogins,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE users SET failed_logins = $2, failed_since = $3, locked_until = $4
             WHERE id = $1",
        )
        .bind(user)
        .bind(failed.count)
        .bind(failed.since)
        .bind(failed.locked_until);
        self.tx.execute_one("failed_logins.set_anywhere", sql).await
    }

    /// Forgets all that failed for the user.
    pub async fn forget(&mut self, user: UserId) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM failed_logins WHERE user_id = $1");
        self.tx.execute("failed_logins.forget", sql.bind(user)).await?;
        self.set_anywhere(user, FailedLogins::NONE).await.map(drop)
    }

    /// Forgets what began before `before` and locks nothing any more; says how much.
    pub async fn delete_old(&mut self, before: Timestamp) -> Result<u64, DbError> {
        let sql =
            Sql::new("DELETE FROM failed_logins WHERE failed_since < $1 AND locked_until <= $2");
        let sql = sql.bind(before).bind(self.tx.now());
        self.tx.execute("failed_logins.delete_old", sql).await
    }

    async fn one(&mut self, name: &'static str, sql: Sql) -> Result<FailedLogins, DbError> {
        let row = self.tx.row(name, "failed_logins", sql).await?;
        let Some(row) = row else { return Ok(FailedLogins::NONE) };
        Ok(FailedLogins {
            count: row.count("failed_logins")?,
            since: row.time("failed_since")?,
            locked_until: row.time("locked_until")?,
        })
    }
}
