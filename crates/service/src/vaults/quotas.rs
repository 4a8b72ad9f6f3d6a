//! Limits of a project, and vaults that an administrator bars (QUO-01 … QUO-06, VLT-54).

use cbr_db::Tx;
use cbr_model::policy::{POLICIES_MAX, PolicyOperation};
use cbr_model::quota::Quota;
use cbr_model::size::Gib;
use cbr_model::tag::{InvalidTags, TAGS_MAX};
use cbr_model::vault::{Charging, Vault, VaultStatus};
use cbr_model::{ProjectId, VaultId};

use super::service::{Vaults, existing};
use crate::audit::Subject;
use crate::error::db;
use crate::rules::vault::check_name;
use crate::{Access, Error, Result};

/// A limit, and how much of it is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaUse {
    /// What is limited.
    pub quota: Quota,
    /// None: no limit.
    pub limit: Option<u64>,
    /// None where it is not one number for the project.
    pub used: Option<u64>,
}

impl Vaults {
    /// All limits of the project.
    pub async fn quotas(&self, access: &Access) -> Result<Vec<QuotaUse>> {
        let mut tx = self.core.db.read().await.map_err(db("reading quotas"))?;
        all(&mut tx, access).await
    }

    /// Sets a limit of the project; none: the one for everybody holds again. What is above the limit
    /// already stays.
    pub async fn set_quota(
        &self,
        access: &Access,
        quota: Quota,
        limit: Option<u64>,
    ) -> Result<Vec<QuotaUse>> {
        check_administrator(access)?;
        if limit.is_some_and(|limit| limit > quota.limit_max()) {
            return Err(Error::invalid("limit", format!("0 to {}", quota.limit_max())));
        }
        let mut tx = self.core.change(access, "setting a quota").await?;
        let set = tx.quotas().set(access.project(), quota, limit).await;
        set.map_err(db("setting a quota"))?;
        let quotas = all(&mut tx, access).await?;
        tx.commit(Subject::new(quota.as_str(), quota.as_str())).await?;
        Ok(quotas)
    }

    /// Bars a vault: nothing is backed up into it or restored from it until it is unfrozen. One that
    /// is in error takes no backups anyway, and must not become available by being frozen for a while.
    pub async fn freeze(&self, access: &Access, vault: VaultId, scene: &str) -> Result<Vault> {
        use VaultStatus::{Available, Frozen};
        check_name("scene", scene)?;
        if Charging::SCENES.contains(&scene) {
            return Err(Error::invalid("scene", "this word is for vaults that are not paid for"));
        }
        self.bar(access, vault, Some(scene.to_owned()), &[Available], Frozen).await
    }

    /// Makes a vault available again that an administrator froze. What is frozen because of money is
    /// paid for instead (VLT-54).
    pub async fn unfreeze(&self, access: &Access, vault: VaultId) -> Result<Vault> {
        self.bar(access, vault, None, &[VaultStatus::Frozen], VaultStatus::Available).await
    }

    async fn bar(
        &self,
        access: &Access,
        vault: VaultId,
        scene: Option<String>,
        from: &[VaultStatus],
        to: VaultStatus,
    ) -> Result<Vault> {
        let doing = "freezing or unfreezing a vault";
        let mut tx = self.core.change(access, doing).await?;
        let mut vault = existing(&mut tx, access.project(), vault).await?;
        check_administrator(access)?;
        let scene_now = vault.charging.frozen_scene.as_deref();
        let is_unpaid = scene_now.is_some_and(|scene| Charging::SCENES.contains(&scene));
        if is_unpaid {
            // Another scene would hide that it is not paid for, and lifting that one would lift both.
            let reason = "it is frozen because it is not paid for, and available once it is";
            return Err(Error::VaultNotEditable { reason: reason.to_owned() });
        }
        let is_changed = tx.vaults().change_status(vault.project, vault.id, from, to).await;
        if !is_changed.map_err(db(doing))? {
            return Err(Error::VaultStatus { status: vault.status });
        }
        vault.charging.frozen_scene = scene;
        tx.vaults().update(&vault).await.map_err(db(doing))?;
        let vault = existing(&mut tx, access.project(), vault.id).await?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        Ok(vault)
    }
}

async fn all(tx: &mut Tx, access: &Access) -> Result<Vec<QuotaUse>> {
    let project = access.project();
    let mut quotas = Vec::with_capacity(Quota::ALL.len());
    for quota in Quota::ALL {
        let limit = limit(tx, project, quota).await?;
        let used = match quota {
            Quota::Vaults => {
                let count = tx.vaults().count(project).await;
                Some(count.map_err(db("counting vaults"))?)
            }
            Quota::CapacityGb => Some(capacity(tx, project).await?.0),
            Quota::BackupPolicies => {
                let count = tx.policies().count_own(project, PolicyOperation::Backup).await;
                Some(count.map_err(db("counting policies"))?)
            }
            Quota::VaultTags => None,
        };
        quotas.push(QuotaUse { quota, limit, used });
    }
    Ok(quotas)
}

async fn limit(tx: &mut Tx, project: ProjectId, quota: Quota) -> Result<Option<u64>> {
    tx.quotas().limit(project, quota).await.map_err(db("reading a quota"))
}

async fn capacity(tx: &mut Tx, project: ProjectId) -> Result<Gib> {
    tx.vaults().capacity(project).await.map_err(db("adding up vaults"))
}

/// How many tags a vault of the project carries.
pub(super) async fn tags_max(tx: &mut Tx, access: &Access) -> Result<usize> {
    let limit = limit(tx, access.project(), Quota::VaultTags).await?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(TAGS_MAX))
}

/// How many policies of an operation the project may have. Only those for backups can be limited.
pub(crate) async fn policies_max(
    tx: &mut Tx,
    access: &Access,
    operation: PolicyOperation,
) -> Result<usize> {
    let limit = match operation {
        PolicyOperation::Backup => limit(tx, access.project(), Quota::BackupPolicies).await?,
        PolicyOperation::Replication => None,
    };
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(POLICIES_MAX))
}

/// QUO-01, TAG-01: one more vault with so many tags and so much capacity, if the project may have that.
pub(super) async fn check(tx: &mut Tx, access: &Access, vault: &Vault) -> Result<()> {
    let most = tags_max(tx, access).await?;
    if vault.tags.len() > most {
        return Err(InvalidTags::TooMany { limit: most }.into());
    }
    if let Some(limit) = limit(tx, access.project(), Quota::Vaults).await? {
        let count = tx.vaults().count(access.project()).await.map_err(db("counting vaults"))?;
        if count >= limit {
            return Err(Error::QuotaUsedUp { what: "vaults", limit });
        }
    }
    check_capacity(tx, vault.project, Gib(0), vault.size).await
}

/// QUO-01: a vault of the project becomes so large, if the project may have that. One that becomes
/// smaller always may.
pub(crate) async fn check_capacity(
    tx: &mut Tx,
    project: ProjectId,
    before: Gib,
    after: Gib,
) -> Result<()> {
    if after <= before {
        return Ok(());
    }
    let Some(limit) = limit(tx, project, Quota::CapacityGb).await? else { return Ok(()) };
    let others = capacity(tx, project).await?.0.saturating_sub(before.0);
    if others.saturating_add(after.0) <= limit {
        return Ok(());
    }
    Err(Error::QuotaUsedUp { what: "GB of all vaults together", limit })
}

fn check_administrator(access: &Access) -> Result<()> {
    if access.caller().is_administrator() { Ok(()) } else { Err(Error::Forbidden) }
}
