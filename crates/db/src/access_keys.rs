//! Table `access_keys`: AK/SK pairs. The secret is stored sealed; this crate cannot open it.

use cbr_model::{Timestamp, UserId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::{Sql, Value};
use crate::tx::Tx;

/// An access key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub ak: String,
    /// Whose it is.
    pub user: UserId,
    /// The secret half, sealed.
    pub sealed_secret: Vec<u8>,
    /// Whether it may be used.
    pub enabled: bool,
    /// What its owner calls it.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, as far as that was noted.
    pub last_used_at: Option<Timestamp>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("ak", &self.ak)
            .field("user", &self.user)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// The table of access keys.
#[derive(Debug)]
pub struct AccessKeys<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl AccessKeys<'_> {
    /// Adds a key.
    pub async fn insert(&mut self, key: &AccessKey) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO access_keys (ak, user_id, sealed_secret, enabled, description, created_at,
                 last_used_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&key.ak)
        .bind(key.user)
        .bind(Value::Blob(key.sealed_secret.clone()))
        .bind(key.enabled)
        .bind(&key.description)
        .bind(key.created_at)
        .bind(key.last_used_at);
        self.tx.execute("access_keys.insert", sql).await.map(drop)
    }

    /// The key with this public half.
    pub async fn find(&mut self, ak: &str) -> Result<Option<AccessKey>, DbError> {
        let sql = Sql::new("SELECT * FROM access_keys WHERE ak = $1").bind(ak);
        let row = self.tx.row("access_keys.find", "access_keys", sql).await?;
        row.map(|row| access_key(&row)).transpose()
    }

    /// A user's keys, oldest first.
    pub async fn list(&mut self, user: UserId) -> Result<Vec<AccessKey>, DbError> {
        let sql = Sql::new("SELECT * FROM access_keys WHERE user_id = $1 ORDER BY created_at, ak");
        let rows = self.tx.rows("access_keys.list", "access_keys", sql.bind(user)).await?;
        rows.iter().map(access_key).collect()
    }

    /// All keys of all users.
    pub async fn all(&mut self) -> Result<Vec<AccessKey>, DbError> {
        let sql = Sql::new("SELECT * FROM access_keys ORDER BY ak");
        let rows = self.tx.rows("access_keys.all", "access_keys", sql).await?;
        rows.iter().map(access_key).collect()
    }

    /// Replaces the sealed secret of a key; says whether the key was there.
    pub async fn reseal(&mut self, ak: &str, sealed_secret: &[u8]) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE access_keys SET sealed_secret = $1 WHERE ak = $2");
        let sql = sql.bind(Value::Blob(sealed_secret.to_vec())).bind(ak);
        self.tx.execute_one("access_keys.reseal", sql).await
    }

    /// Replaces state and description of a user's key; says whether it was there.
    pub async fn update(&mut self, key: &AccessKey) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE access_keys SET enabled = $1, description = $2 WHERE user_id = $3 AND ak = $4",
        )
        .bind(key.enabled)
        .bind(&key.description)
        .bind(key.user)
        .bind(&key.ak);
        self.tx.execute_one("access_keys.update", sql).await
    }

    /// Notes that a key was used at the time of the transaction; says whether the key was there.
    pub async fn note_use(&mut self, ak: &str) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE access_keys SET last_used_at = $1 WHERE ak = $2");
        self.tx.execute_one("access_keys.note_use", sql.bind(self.tx.now()).bind(ak)).await
    }

    /// Removes a user's key; says whether it was there.
    pub async fn delete(&mut self, user: UserId, ak: &str) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM access_keys WHERE user_id = $1 AND ak = $2");
        self.tx.execute_one("access_keys.delete", sql.bind(user).bind(ak)).await
    }
}

fn access_key(row: &Row) -> Result<AccessKey, DbError> {
    Ok(AccessKey {
        ak: row.text("ak")?,
        user: row.id("user_id")?,
        sealed_secret: row.blob("sealed_secret")?,
        enabled: row.flag("enabled")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
        last_used_at: row.time_opt("last_used_at")?,
    })
}
