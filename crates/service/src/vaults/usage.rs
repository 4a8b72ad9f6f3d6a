//! What a vault has, what is used of it, and for how long that will do (VLT-31, VLT-37, VLT-80).

use cbr_model::VaultId;
use cbr_model::vault::Vault;

use super::service::{Vaults, existing};
use crate::error::db;
use crate::rules::forecast::{Forecast, forecast};
use crate::{Access, Result};

impl Vaults {
    /// The vault, and when it will be full if things go on as they did.
    pub async fn capacity(&self, access: &Access, vault: VaultId) -> Result<(Vault, Forecast)> {
        let mut tx = self.core.db.read().await.map_err(db("reading a vault"))?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        let taken = tx.vault_backups().taken(vault.id).await;
        let taken = taken.map_err(db("adding up backups"))?;
        let forecast = forecast(self.core.clock.now(), vault.used, vault.size.bytes(), &taken);
        Ok((vault, forecast))
    }
}
