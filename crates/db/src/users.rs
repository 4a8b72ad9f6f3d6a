//! Table `users`: people and programmes, and the hashes of their passwords.

use cbr_model::identity::User;
use cbr_model::{DomainId, UserId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of users.
#[derive(Debug)]
pub struct Users<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Users<'_> {
    /// Adds a user with the PHC string of a password, or without one.
    /// [`DbError::Taken`] when the account has a user with the name.
    pub async fn insert(&mut self, user: &User, password: Option<&str>) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO users (id, domain_id, name, enabled, is_admin, password, description, email,
                 created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(user.id)
        .bind(user.domain)
        .bind(&user.name)
        .bind(user.enabled)
        .bind(user.is_admin)
        .bind(password)
        .bind(&user.description)
        .bind(&user.email)
        .bind(user.created_at);
        self.tx.execute("users.insert", sql).await.map(drop)
    }

    /// The user with this id.
    pub async fn find(&mut self, id: UserId) -> Result<Option<User>, DbError> {
        let sql = Sql::new("SELECT * FROM users WHERE id = $1").bind(id);
        self.one("users.find", sql).await
    }

    /// An account's user with this name.
    pub async fn find_by_name(
        &mut self,
        domain: DomainId,
        name: &str,
    ) -> Result<Option<User>, DbError> {
        let sql = Sql::new("SELECT * FROM users WHERE domain_id = $1 AND name = $2");
        self.one("users.find_by_name", sql.bind(domain).bind(name)).await
    }

    /// The PHC string of the user's password.
    pub async fn password(&mut self, id: UserId) -> Result<Option<String>, DbError> {
        let sql = Sql::new("SELECT password FROM users WHERE id = $1").bind(id);
        let row = self.tx.row("users.password", "users", sql).await?;
        Ok(row.map(|row| row.text_opt("password")).transpose()?.flatten())
    }

    /// Replaces the PHC string; says whether the user exists.
    pub async fn set_password(&mut self, id: UserId, password: &str) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE users SET password = $2 WHERE id = $1").bind(id).bind(password);
        self.tx.execute_one("users.set_password", sql).await
    }

    /// An account's users, by name.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<User>, DbError> {
        let sql = Sql::new("SELECT * FROM users WHERE domain_id = $1 ORDER BY name, id");
        let rows = self.tx.rows("users.list", "users", sql.bind(domain)).await?;
        rows.iter().map(user).collect()
    }

    /// Replaces name, state, description and mail address; says whether the user exists.
    pub async fn update(&mut self, user: &User) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE users SET name = $1, enabled = $2, description = $3, email = $4
             WHERE domain_id = $5 AND id = $6",
        )
        .bind(&user.name)
        .bind(user.enabled)
        .bind(&user.description)
        .bind(&user.email)
        .bind(user.domain)
        .bind(user.id);
        self.tx.execute_one("users.update", sql).await
    }

    /// Removes a user with its keys, tokens and memberships; says whether it was there.
    pub async fn delete(&mut self, domain: DomainId, id: UserId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM users WHERE domain_id = $1 AND id = $2");
        self.tx.execute_one("users.delete", sql.bind(domain).bind(id)).await
    }

    async fn one(&mut self, name: &'static str, sql: Sql) -> Result<Option<User>, DbError> {
        let row = self.tx.row(name, "users", sql).await?;
        row.map(|row| user(&row)).transpose()
    }
}

pub(crate) fn user(row: &Row) -> Result<User, DbError> {
    Ok(User {
        id: row.id("id")?,
        domain: row.id("domain_id")?,
        name: row.text("name")?,
        enabled: row.flag("enabled")?,
        is_admin: row.flag("is_admin")?,
        description: row.text("description")?,
        email: row.text("email")?,
        created_at: row.time("created_at")?,
    })
}
