//! Table `mfa_devices`: second factors. The seed is stored sealed; this crate cannot open it.

use cbr_model::{DomainId, Timestamp, UserId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::{Sql, Value};
use crate::tx::Tx;

/// A second factor as it is stored. A user has at most one.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaDevice {
    /// Whose it is.
    pub user: UserId,
    /// What its owner calls it.
    pub name: String,
    /// What the codes are made of, sealed.
    pub sealed_seed: Vec<u8>,
    /// Its user has shown two codes of it.
    pub is_bound: bool,
    /// Logins with a password need a code of it as well.
    pub is_required: bool,
    /// The step of the last code that was taken.
    pub last_step: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for MfaDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MfaDevice")
            .field("user", &self.user)
            .field("is_bound", &self.is_bound)
            .finish_non_exhaustive()
    }
}

/// The table of second factors.
#[derive(Debug)]
pub struct MfaDevices<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl MfaDevices<'_> {
    /// Adds a user's device. [`DbError::Taken`] when it has one.
    pub async fn insert(&mut self, device: &MfaDevice) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO mfa_devices (name, sealed_seed, is_bound, is_required, last_step,
                 created_at, user_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&device.name);
        let sql = changeable(sql, device).bind(device.created_at).bind(device.user);
        self.tx.execute("mfa_devices.insert", sql).await.map(drop)
    }

    /// Replaces seed, states and last step; says whether the device was there.
    pub async fn update(&mut self, device: &MfaDevice) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE mfa_devices SET sealed_seed = $1, is_bound = $2, is_required = $3,
                 last_step = $4
             WHERE user_id = $5",
        );
        let sql = changeable(sql, device).bind(device.user);
        self.tx.execute_one("mfa_devices.update", sql).await
    }

    /// A user's device.
    pub async fn find(&mut self, user: UserId) -> Result<Option<MfaDevice>, DbError> {
        let sql = Sql::new("SELECT * FROM mfa_devices WHERE user_id = $1").bind(user);
        let row = self.tx.row("mfa_devices.find", "mfa_devices", sql).await?;
        row.map(|row| device(&row)).transpose()
    }

    /// The devices of an account's users.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<MfaDevice>, DbError> {
        let sql = Sql::new(
            "SELECT d.* FROM mfa_devices d JOIN users u ON u.id = d.user_id
             WHERE u.domain_id = $1 ORDER BY d.user_id",
        );
        let rows = self.tx.rows("mfa_devices.list", "mfa_devices", sql.bind(domain)).await?;
        rows.iter().map(device).collect()
    }

    /// The devices of all users.
    pub async fn all(&mut self) -> Result<Vec<MfaDevice>, DbError> {
        let sql = Sql::new("SELECT * FROM mfa_devices ORDER BY user_id");
        let rows = self.tx.rows("mfa_devices.all", "mfa_devices", sql).await?;
        rows.iter().map(device).collect()
    }

    /// Removes a user's device; says whether there was one.
    pub async fn delete(&mut self, user: UserId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM mfa_devices WHERE user_id = $1").bind(user);
        self.tx.execute_one("mfa_devices.delete", sql).await
    }
}

fn changeable(sql: Sql, device: &MfaDevice) -> Sql {
    sql.bind(Value::Blob(device.sealed_seed.clone()))
        .bind(device.is_bound)
        .bind(device.is_required)
        .bind(device.last_step)
}

fn device(row: &Row) -> Result<MfaDevice, DbError> {
    Ok(MfaDevice {
        user: row.id("user_id")?,
        name: row.text("name")?,
        sealed_seed: row.blob("sealed_seed")?,
        is_bound: row.flag("is_bound")?,
        is_required: row.flag("is_required")?,
        last_step: row.count("last_step")?,
        created_at: row.time("created_at")?,
    })
}
