//! Table `temporary_keys`: access keys that end by themselves and need a security token beside them.

use cbr_model::identity::Credential;
use cbr_model::permission::Document;
use cbr_model::{AgencyId, ProjectId, Timestamp, UserId};

use crate::custom_roles::document;
use crate::error::DbError;
use crate::parents::{columns, made_with};
use crate::row::Row;
use crate::sql::{Sql, Value};
use crate::tx::Tx;

/// A temporary key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryKey {
    /// The public half.
    pub ak: String,
    /// Whom it speaks for.
    pub user: UserId,
    /// Through which agency.
    pub agency: Option<AgencyId>,
    /// The only project it reaches, if it was made with a credential for one.
    pub project: Option<ProjectId>,
    /// The secret half, sealed.
    pub sealed_secret: Vec<u8>,
    /// SHA-256 of the security token.
    pub token_digest: [u8; 32],
    /// Narrows what its user may do.
    pub document: Option<Document>,
    /// What was shown for it: it ends with that.
    pub made_with: Credential,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is void.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for TemporaryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporaryKey")
            .field("ak", &self.ak)
            .field("user", &self.user)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The table of temporary keys.
#[derive(Debug)]
pub struct TemporaryKeys<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl TemporaryKeys<'_> {
    /// Adds a key.
    pub async fn insert(&mut self, key: &TemporaryKey) -> Result<(), DbError> {
        let (parent_token, parent_key) = columns(&key.made_with);
        let sql = Sql::new(
            "INSERT INTO temporary_keys (ak, user_id, agency_id, project_id, sealed_secret,
                 token_digest, document, created_at, expires_at, parent_token, parent_key)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&key.ak)
        .bind(key.user)
        .bind(key.agency)
        .bind(key.project)
        .bind(Value::Blob(key.sealed_secret.clone()))
        .bind(hex::encode(key.token_digest))
        .bind(key.document.as_ref().map(Document::to_json))
        .bind(key.created_at)
        .bind(key.expires_at)
        .bind(parent_token)
        .bind(parent_key);
        self.tx.execute("temporary_keys.insert", sql).await.map(drop)
    }

    /// The key with this public half, unless it is void at the time of the transaction.
    pub async fn find(&mut self, ak: &str) -> Result<Option<TemporaryKey>, DbError> {
        let sql = Sql::new("SELECT * FROM temporary_keys WHERE ak = $1 AND expires_at > $2");
        let sql = sql.bind(ak).bind(self.tx.now());
        let row = self.tx.row("temporary_keys.find", "temporary_keys", sql).await?;
        row.map(|row| temporary_key(&row)).transpose()
    }

    /// All keys of all users.
    pub async fn all(&mut self) -> Result<Vec<TemporaryKey>, DbError> {
        let sql = Sql::new("SELECT * FROM temporary_keys ORDER BY ak");
        let rows = self.tx.rows("temporary_keys.all", "temporary_keys", sql).await?;
        rows.iter().map(temporary_key).collect()
    }

    /// Replaces the sealed secret of a key; says whether the key was there.
    pub async fn reseal(&mut self, ak: &str, sealed_secret: &[u8]) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE temporary_keys SET sealed_secret = $1 WHERE ak = $2");
        let sql = sql.bind(Value::Blob(sealed_secret.to_vec())).bind(ak);
        self.tx.execute_one("temporary_keys.reseal", sql).await
    }

    /// Makes those keys of a user void of which it is not known what they were made with; says how many.
    pub async fn delete_orphans(&mut self, user: UserId) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM temporary_keys
             WHERE user_id = $1 AND parent_token IS NULL AND parent_key IS NULL",
        );
        self.tx.execute("temporary_keys.delete_orphans", sql.bind(user)).await
    }

    /// Makes all keys of a user void; says how many.
    pub async fn delete_of_user(&mut self, user: UserId) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM temporary_keys WHERE user_id = $1").bind(user);
        self.tx.execute("temporary_keys.delete_of_user", sql).await
    }

    /// Makes all keys of a user void but the newest `count`; those made with the last of them stay.
    pub async fn keep_newest(&mut self, user: UserId, count: u64) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM temporary_keys WHERE user_id = $1 AND created_at <
                 (SELECT created_at FROM temporary_keys WHERE user_id = $1
                  ORDER BY created_at DESC LIMIT 1 OFFSET $2)",
        );
        let sql = sql.bind(user).bind(count.saturating_sub(1));
        self.tx.execute("temporary_keys.keep_newest", sql).await
    }

    /// Forgets the keys that are void; says how many.
    pub async fn delete_expired(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM temporary_keys WHERE expires_at <= $1");
        let sql = sql.bind(self.tx.now());
        self.tx.execute("temporary_keys.delete_expired", sql).await
    }
}

fn temporary_key(row: &Row) -> Result<TemporaryKey, DbError> {
    let mut token_digest = [0; 32];
    hex::decode_to_slice(row.text("token_digest")?, &mut token_digest)
        .map_err(|error| row.inconsistent("token_digest", error))?;
    let text = row.text_opt("document")?;
    Ok(TemporaryKey {
        ak: row.text("ak")?,
        user: row.id("user_id")?,
        agency: row.id_opt("agency_id")?,
        project: row.id_opt("project_id")?,
        sealed_secret: row.blob("sealed_secret")?,
        token_digest,
        document: text.map(|text| document(row, &text)).transpose()?,
        made_with: made_with(row)?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}
