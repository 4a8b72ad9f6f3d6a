//! What is set on several vaults or resources at once, and what all vaults are together (contract C6,
//! C10, C15, C16).

use std::collections::BTreeSet;

use cbr_db::{KeptUntil, ResourceUsage};
use cbr_model::operation::{OperationDetails, OperationType};
use cbr_model::query::Page;
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::{VaultStatus, VaultUse};
use cbr_model::{ResourceId, TaskId, Timestamp, VaultId};

use super::service::{Vaults, existing};
use crate::audit::Subject;
use crate::error::db;
use crate::rules::vault::check_threshold;
use crate::tasks::order::recorded;
use crate::{Access, Error, Result};

/// A day on which backups shall expire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpirationDay {
    /// As the caller wrote it; shown in the operation log.
    pub day: String,
    /// Its end.
    pub end: Timestamp,
}

/// What was done about the expiration of backups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiring {
    /// How many backups expire on that day now.
    pub backups: u64,
    /// The operation log that says so.
    pub log: TaskId,
}

impl Vaults {
    /// Sets who is told when on all vaults of the project that may be changed; their ids (contract C6).
    pub async fn update_all(
        &self,
        access: &Access,
        smn_notify: Option<bool>,
        threshold: Option<i64>,
    ) -> Result<Vec<VaultId>> {
        let threshold = threshold.map(check_threshold).transpose()?;
        let from: Vec<VaultStatus> =
            VaultStatus::ALL.into_iter().filter(|status| status.allows(VaultUse::Edit)).collect();
        let mut tx = self.core.change(access, "changing vaults").await?;
        let changed =
            tx.vaults().update_notices(access.project(), &from, smn_notify, threshold).await;
        let changed = changed.map_err(db("changing vaults"))?;
        for (vault, name) in &changed {
            tx.record(Subject::new(vault, name)).await?;
        }
        tx.commit_recorded().await?;
        Ok(changed.into_iter().map(|(vault, _)| vault).collect())
    }

    /// Says of resources whether automatic backups take them (contract C10).
    pub async fn set_auto_protect(
        &self,
        access: &Access,
        vault: VaultId,
        resources: Vec<ResourceId>,
        auto_protect: bool,
    ) -> Result<Vec<ResourceId>> {
        let mut tx = self.core.change(access, "setting resources").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        if !vault.status.allows(VaultUse::Bind) {
            return Err(Error::VaultStatus { status: vault.status });
        }
        let mut seen = BTreeSet::new();
        for &resource in &resources {
            if !seen.insert(resource) {
                return Err(Error::ResourceRepeated { resource });
            }
            let bound = vault.resources.iter().find(|bound| bound.id == resource);
            let bound = bound.ok_or(Error::ResourceNotInVault { resource })?;
            if bound.protect_status == ProtectStatus::Removing {
                return Err(Error::ResourceRemoving { resource });
            }
            let changed = BoundResource { auto_protect, ..bound.clone() };
            let is_changed = tx.bindings().update(vault.id, &changed).await;
            is_changed.map_err(db("changing a binding"))?;
        }
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        Ok(resources)
    }

    /// Capacity and used capacity of all vaults of the project together (contract C15).
    pub async fn summary(&self, access: &Access) -> Result<(Gib, Bytes)> {
        let mut tx = self.core.db.read().await.map_err(db("adding up vaults"))?;
        tx.vaults().totals(access.project()).await.map_err(db("adding up vaults"))
    }

    /// What the backups of each resource take, and of how many resources (contract C64).
    pub async fn usage(
        &self,
        access: &Access,
        resource: Option<ResourceId>,
        kind: Option<ResourceKind>,
        page: Page,
    ) -> Result<(Vec<ResourceUsage>, u64)> {
        let mut tx = self.core.db.read().await.map_err(db("adding up backups"))?;
        let usage = tx.vault_backups().usage(access.project(), resource, kind, &page).await;
        usage.map_err(db("adding up backups"))
    }

    /// Has all backups of the vault that are kept until a time kept until the end of `until` instead
    /// (contract C16). Those that are kept for ever, or by their number, stay as they are.
    pub async fn set_expiration(
        &self,
        access: &Access,
        vault: VaultId,
        until: ExpirationDay,
    ) -> Result<Expiring> {
        let mut tx = self.core.change(access, "changing expirations").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        if !vault.status.allows(VaultUse::DeleteBackup) {
            return Err(Error::VaultStatus { status: vault.status });
        }
        if until.end <= tx.now() {
            let reason = "the day is over; backups that are not wanted any more can be deleted";
            return Err(Error::invalid("expect_expiration_date", reason));
        }
        let before = tx.vault_backups().kept_until(vault.id).await;
        let before = before.map_err(db("listing backups"))?;
        // WORM: nothing that is locked ends earlier than it was locked for.
        let is_shortened =
            |kept: &&KeptUntil| vault.locked && kept.auto_trigger && kept.end > until.end;
        if let Some(locked) = before.iter().find(is_shortened) {
            return Err(Error::BackupLocked(locked.backup));
        }
        let changed = tx.vault_backups().keep_until(vault.id, until.end).await;
        changed.map_err(db("changing expirations"))?;
        let backups = before.len() as u64;
        let details = OperationDetails::UpdateExpiration { backups, day: until.day };
        let operation = OperationType::UpdateExpiration;
        let log = recorded(&self.core, access, &vault, operation, details);
        tx.tasks().insert_done(&log).await.map_err(db("adding an operation log"))?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        Ok(Expiring { backups, log: log.id })
    }
}
