//! Table `tokens`: who a token speaks for. Only its SHA-256 is stored.

use cbr_model::{AgencyId, ProjectId, Timestamp, UserId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// A token as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// Whom it speaks for.
    pub user: UserId,
    /// The project it is scoped to; none: unscoped.
    pub project: Option<ProjectId>,
    /// The agency its holder acts through.
    pub agency: Option<AgencyId>,
    /// How its holder proved who it is: `password`, `password,totp`, `assume_role` …
    pub methods: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is void.
    pub expires_at: Timestamp,
}

/// The table of tokens.
#[derive(Debug)]
pub struct Tokens<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Tokens<'_> {
    /// Adds a token.
    pub async fn insert(&mut self, token: &Token) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO tokens (digest, user_id, project_id, issued_at, expires_at, agency_id,
                 methods)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(hex::encode(token.digest))
        .bind(token.user)
        .bind(token.project)
        .bind(token.issued_at)
        .bind(token.expires_at)
        .bind(token.agency)
        .bind(&token.methods);
        self.tx.execute("tokens.insert", sql).await.map(drop)
    }

    /// The token with this digest, unless it is void at the time of the transaction.
    pub async fn find(&mut self, digest: [u8; 32]) -> Result<Option<Token>, DbError> {
        let sql = Sql::new("SELECT * FROM tokens WHERE digest = $1 AND expires_at > $2")
            .bind(hex::encode(digest))
            .bind(self.tx.now());
        let Some(row) = self.tx.row("tokens.find", "tokens", sql).await? else { return Ok(None) };
        Ok(Some(Token {
            digest,
            user: row.id("user_id")?,
            project: row.id_opt("project_id")?,
            agency: row.id_opt("agency_id")?,
            methods: row.text("methods")?,
            issued_at: row.time("issued_at")?,
            expires_at: row.time("expires_at")?,
        }))
    }

    /// Revokes a token; says whether it was there.
    pub async fn delete(&mut self, digest: [u8; 32]) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM tokens WHERE digest = $1").bind(hex::encode(digest));
        self.tx.execute_one("tokens.delete", sql).await
    }

    /// Revokes all tokens of a user; says how many.
    pub async fn delete_of_user(&mut self, user: UserId) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM tokens WHERE user_id = $1").bind(user);
        self.tx.execute("tokens.delete_of_user", sql).await
    }

    /// Revokes all tokens of a user but the newest `count`; those issued with the last of them stay.
    pub async fn keep_newest(&mut self, user: UserId, count: u64) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM tokens WHERE user_id = $1 AND issued_at <
                 (SELECT issued_at FROM tokens WHERE user_id = $1
                  ORDER BY issued_at DESC LIMIT 1 OFFSET $2)",
        );
        let sql = sql.bind(user).bind(count.saturating_sub(1));
        self.tx.execute("tokens.keep_newest", sql).await
    }

    /// Forgets the tokens that are void; says how many.
    pub async fn delete_expired(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM tokens WHERE expires_at <= $1").bind(self.tx.now());
        self.tx.execute("tokens.delete_expired", sql).await
    }
}
