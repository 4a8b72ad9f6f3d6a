//! Table `tokens`: who a token speaks for. Only its SHA-256 is stored.

use cbr_model::identity::Credential;
use cbr_model::{AgencyId, ProjectId, Timestamp, UserId};

use crate::error::DbError;
use crate::parents::{columns, end_tokens, made_with};
use crate::sql::Sql;
use crate::tx::Tx;

/// So many times the tokens that a user may have stay at most, for the sake of those made with them.
const CHAINED_FACTOR: u64 = 4;

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
    /// What was shown for it: it ends with that.
    pub made_with: Credential,
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
        let (parent_token, parent_key) = columns(&token.made_with);
        let sql = Sql::new(
            "INSERT INTO tokens (digest, user_id, project_id, issued_at, expires_at, agency_id,
                 methods, parent_token, parent_key)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(hex::encode(token.digest))
        .bind(token.user)
        .bind(token.project)
        .bind(token.issued_at)
        .bind(token.expires_at)
        .bind(token.agency)
        .bind(&token.methods)
        .bind(parent_token)
        .bind(parent_key);
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
            made_with: made_with(&row)?,
            issued_at: row.time("issued_at")?,
            expires_at: row.time("expires_at")?,
        }))
    }

    /// Revokes a token and all that was made with it; says whether it was there.
    pub async fn delete(&mut self, digest: [u8; 32]) -> Result<bool, DbError> {
        let digest = hex::encode(digest);
        let first = || ("SELECT digest FROM tokens WHERE digest = $1", Sql::new("").bind(&digest));
        Ok(end_tokens(self.tx, "tokens.delete", first).await? > 0)
    }

    /// Revokes what was made with an access key, and all that was made with that; says how many tokens.
    pub async fn delete_of_key(&mut self, ak: &str) -> Result<u64, DbError> {
        let first = || ("SELECT digest FROM tokens WHERE parent_key = $1", Sql::new("").bind(ak));
        let ended = end_tokens(self.tx, "tokens.delete_of_key", first).await?;
        let keys = Sql::new("DELETE FROM temporary_keys WHERE parent_key = $1").bind(ak);
        self.tx.execute("tokens.delete_of_key", keys).await?;
        Ok(ended)
    }

    /// Revokes all tokens of a user; says how many.
    pub async fn delete_of_user(&mut self, user: UserId) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM tokens WHERE user_id = $1").bind(user);
        self.tx.execute("tokens.delete_of_user", sql).await
    }

    /// Revokes all tokens of a user but the newest `count`; those issued at the time of the last one stay.
    ///
    /// One that tokens were made with ends when they have: they would end with it, and the newest may be
    /// one of them. So that a chain of tokens, each made with the one before, has an end too, those beyond
    /// four times as many go with all that was made with them.
    pub async fn keep_newest(&mut self, user: UserId, count: u64) -> Result<u64, DbError> {
        let first = || {
            let selection = "SELECT old.digest FROM tokens old WHERE old.user_id = $1 AND (
                 (old.issued_at < (SELECT issued_at FROM tokens WHERE user_id = $1
                                   ORDER BY issued_at DESC LIMIT 1 OFFSET $2)
                  AND NOT EXISTS (SELECT 1 FROM tokens made WHERE made.parent_token = old.digest))
                 OR old.issued_at < (SELECT issued_at FROM tokens WHERE user_id = $1
                                     ORDER BY issued_at DESC LIMIT 1 OFFSET $3))";
            let (last, very_last) = (count, count.saturating_mul(CHAINED_FACTOR));
            let arguments = Sql::new("").bind(user).bind(last.saturating_sub(1));
            (selection, arguments.bind(very_last.saturating_sub(1)))
        };
        end_tokens(self.tx, "tokens.keep_newest", first).await
    }

    /// Forgets the tokens that are void; says how many.
    pub async fn delete_expired(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM tokens WHERE expires_at <= $1").bind(self.tx.now());
        self.tx.execute("tokens.delete_expired", sql).await
    }
}
