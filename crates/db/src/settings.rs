//! Table `settings`: facts about this installation, e.g. the node's id or the store's.

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of settings.
#[derive(Debug)]
pub struct Settings<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Settings<'_> {
    /// The value of `key`.
    pub async fn find(&mut self, key: &str) -> Result<Option<String>, DbError> {
        let sql = Sql::new("SELECT value FROM settings WHERE key = $1").bind(key);
        let row = self.tx.row("settings.find", "settings", sql).await?;
        row.map(|row| row.text("value")).transpose()
    }

    /// Sets `key`, whatever it was.
    pub async fn set(&mut self, key: &str, value: &str) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO settings (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        );
        self.tx.execute("settings.set", sql.bind(key).bind(value)).await.map(drop)
    }

    /// Forgets `key`, if it is set.
    pub async fn remove(&mut self, key: &str) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM settings WHERE key = $1").bind(key);
        self.tx.execute("settings.remove", sql).await.map(drop)
    }
}
