//! Use cases of vaults.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::backup::Backup;
use cbr_model::query::{Listing, Page, VaultFilter};
use cbr_model::resource::{ProtectStatus, ResourceKind, ResourceType};
use cbr_model::vault::{ChargingMode, RESOURCES_MAX, Vault, VaultStatus, VaultUse};
use cbr_model::{ChainId, ProjectId, ResourceId, TaskId, VaultId};

use super::migrate::{refuse_while_moving, task_in};
use super::quotas;
use super::requests::{NewVault, VaultChange, WantedResource};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::VaultRefusal;
use crate::error::db;
use crate::exports::refuse_exported_in_vault;
use crate::identity::check_enterprise_project;
use crate::images::refuse_imaged_in_vault;
use crate::rules::binding::{self, Candidate, Facts};
use crate::rules::{policy_binding, tags as tag_rules, vault as rules};
use crate::tasks::purge;
use crate::{Access, Error, Result, policies};

/// Use cases of vaults.
#[derive(Debug)]
pub struct Vaults {
    pub(super) core: Arc<Core>,
}

impl Vaults {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Creates a vault and binds `wanted.resources` (contract C1).
    pub async fn create(&self, access: &Access, wanted: NewVault) -> Result<Vault> {
        let id = VaultId::random(&*self.core.random);
        let user = access.caller().user.id;
        let now = self.core.clock.now();
        let mut vault = rules::build(&wanted, id, access.project(), user, now)?;
        let candidates = self.candidates(access, &wanted.resources).await?;
        let mut tx = self.core.change(access, "creating a vault").await?;
        quotas::check(&mut tx, access, &vault).await?;
        let account = access.caller().domain.id;
        check_enterprise_project(&mut tx, account, &vault.enterprise_project).await?;
        let facts = facts(&mut tx, &wanted.resources, candidates).await?;
        vault.resources = binding::plan(&vault, &wanted.resources, &facts, || self.new_chain())?;
        if let Some(prepaid) = wanted.prepaid {
            self.order(&mut tx, access, &mut vault, prepaid).await?;
        }
        tx.vaults().insert(&vault).await.map_err(db("adding a vault"))?;
        if let Some(policy) = wanted.backup_policy {
            let policy = policies::existing(&mut tx, access.project(), policy).await?;
            policy_binding::check_at_creation(&policy)?;
            policies::bind_in(&mut tx, &vault, &policy).await?;
        }
        let vault = existing(&mut tx, access.project(), id).await?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        Ok(vault)
    }

    /// Lists vaults, newest first (contract C3).
    pub async fn list(
        &self,
        access: &Access,
        filter: &VaultFilter,
        page: Page,
    ) -> Result<Listing<Vault>> {
        tag_rules::check_filter(&filter.tags)?;
        let mut tx = self.core.db.read().await.map_err(db("listing vaults"))?;
        tx.vaults().list(access.project(), filter, &page).await.map_err(db("listing vaults"))
    }

    /// One vault (contract C4).
    pub async fn show(&self, access: &Access, vault: VaultId) -> Result<Vault> {
        let mut tx = self.core.db.read().await.map_err(db("reading a vault"))?;
        existing(&mut tx, access.project(), vault).await
    }

    /// Changes what `change` names (contract C5).
    pub async fn update(
        &self,
        access: &Access,
        vault: VaultId,
        change: VaultChange,
    ) -> Result<Vault> {
        let mut tx = self.core.change(access, "changing a vault").await?;
        let before = existing(&mut tx, access.project(), vault).await?;
        let after = rules::changed(before.clone(), &change, tx.now())?;
        refuse_while_moving(&mut tx, &before, &after).await?;
        quotas::check_capacity(&mut tx, after.project, before.size, after.size).await?;
        self.buy_change(&mut tx, access, &before, &after).await?;
        tx.vaults().update(&after).await.map_err(db("changing a vault"))?;
        tx.commit(Subject::new(after.id, &after.name)).await?;
        Ok(after)
    }

    /// Deletes the vault and everything in it (contract C7); done by the task whose id is returned.
    /// A prepaid vault is unsubscribed instead.
    pub async fn delete(&self, access: &Access, vault: VaultId) -> Result<TaskId> {
        self.remove(access, vault, false).await
    }

    /// Ends the order of a prepaid vault: deletes it and everything in it (extension; VLT-63).
    pub async fn unsubscribe(&self, access: &Access, vault: VaultId) -> Result<TaskId> {
        self.remove(access, vault, true).await
    }

    async fn remove(&self, access: &Access, vault: VaultId, ends_order: bool) -> Result<TaskId> {
        let mut tx = self.core.change(access, "deleting a vault").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        match (vault.charging.mode, ends_order) {
            (ChargingMode::PrePaid, false) => {
                let reason =
                    "it is prepaid; end its order instead (POST …/x/vaults/{id}/unsubscribe)";
                return Err(Error::VaultKept { reason: reason.to_owned() });
            }
            (ChargingMode::PostPaid, true) => {
                let reason = "it is charged by use".to_owned();
                return Err(Error::Vault(VaultRefusal::OrderNotFound { reason }));
            }
            _ => {}
        }
        if !vault.status.allows(VaultUse::Delete) {
            return Err(Error::VaultNotDeletable { status: vault.status });
        }
        if let Some(task) = task_in(&mut tx, vault.id).await? {
            return Err(Error::VaultBusy { task });
        }
        if vault.locked {
            let locked = tx.vault_backups().unexpired_automatic(vault.id).await;
            if let Some(backup) = locked.map_err(db("looking for locked backups"))? {
                let reason = format!("it is locked, and backup {backup} in it has not expired");
                return Err(Error::VaultKept { reason });
            }
        }
        refuse_imaged_in_vault(&mut tx, vault.id, |_| true).await?;
        refuse_exported_in_vault(&mut tx, vault.id, |_| true).await?;
        let (from, to) = ([VaultStatus::Available, VaultStatus::Error], VaultStatus::Deleting);
        let is_changed = tx.vaults().change_status(vault.project, vault.id, &from, to).await;
        if !is_changed.map_err(db("changing a vault's status"))? {
            return Err(Error::VaultNotDeletable { status: vault.status });
        }
        let task = purge::new_vault_delete(&self.core, access, &vault);
        let id = task.id;
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        self.core.wake();
        Ok(id)
    }

    /// Puts resources under the protection of the vault, all or none (contract C8).
    ///
    /// A server that is in this vault already gets its `exclude_volumes` replaced.
    pub async fn add_resources(
        &self,
        access: &Access,
        vault: VaultId,
        wanted: Vec<WantedResource>,
    ) -> Result<Vec<ResourceId>> {
        let candidates = self.candidates(access, &wanted).await?;
        let mut tx = self.core.change(access, "adding resources").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        if !vault.status.allows(VaultUse::Bind) {
            return Err(Error::VaultStatus { status: vault.status });
        }
        let facts = facts(&mut tx, &wanted, candidates).await?;
        for resource in binding::plan(&vault, &wanted, &facts, || self.new_chain())? {
            if vault.resources.iter().any(|bound| bound.id == resource.id) {
                let changed = tx.bindings().update(vault.id, &resource).await;
                changed.map_err(db("changing a binding"))?;
            } else {
                let added = tx.bindings().insert(vault.id, &resource).await;
                added.map_err(db("adding a binding"))?;
            }
        }
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        Ok(wanted.into_iter().map(|resource| resource.id).collect())
    }

    /// Takes resources out with all their backups (contract C9, RES-15), by one task each.
    ///
    /// A backup that runs is waited for and then deleted with the others (RES-17).
    pub async fn remove_resources(
        &self,
        access: &Access,
        vault: VaultId,
        resources: Vec<ResourceId>,
    ) -> Result<Vec<ResourceId>> {
        use ProtectStatus::{Available, Error as Failed, Protecting, Removing, Restoring};
        let mut tx = self.core.change(access, "removing resources").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        if !vault.status.allows(VaultUse::Bind) {
            return Err(Error::VaultStatus { status: vault.status });
        }
        if vault.locked {
            let reason = "its backups are locked, so no resource can leave it".to_owned();
            return Err(Error::VaultNotEditable { reason });
        }
        let wanted: BTreeSet<ResourceId> = resources.iter().copied().collect();
        let of_these = |backup: &Backup| wanted.contains(&backup.resource);
        refuse_imaged_in_vault(&mut tx, vault.id, |resource| wanted.contains(&resource)).await?;
        refuse_exported_in_vault(&mut tx, vault.id, of_these).await?;
        for &resource in &wanted {
            let bound = vault.resources.iter().find(|bound| bound.id == resource);
            let bound = bound.ok_or(Error::ResourceNotInVault { resource })?;
            let from = [Available, Failed, Protecting, Restoring];
            let is_changed = tx.bindings().change_status(vault.id, resource, &from, Removing).await;
            if !is_changed.map_err(db("changing a resource's status"))? {
                return Err(Error::ResourceRemoving { resource });
            }
            let task = purge::new_remove_resource(&self.core, access, &vault, bound);
            tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        }
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        self.core.wake();
        Ok(resources)
    }

    fn new_chain(&self) -> ChainId {
        ChainId::random(&*self.core.random)
    }

    /// What is known of the resources, for who may see them at their own service (contract A.11).
    async fn candidates(
        &self,
        access: &Access,
        wanted: &[WantedResource],
    ) -> Result<Vec<Option<Candidate>>> {
        let project = access.project();
        // Before anything is asked about each of them.
        if wanted.len() > RESOURCES_MAX {
            return Err(Error::TooManyResources { limit: RESOURCES_MAX });
        }
        let mut candidates = Vec::with_capacity(wanted.len());
        for resource in wanted {
            let kind = match resource.kind {
                ResourceType::Kind(kind) => kind,
                ResourceType::Turbo => {
                    candidates.push(None);
                    continue;
                }
            };
            access.require(match kind {
                ResourceKind::Server => "ecs:cloudServers:list",
                ResourceKind::Volume => "evs:volumes:list",
                // No service here lists them: nobody has them, whatever one may see.
                ResourceKind::Native => {
                    candidates.push(None);
                    continue;
                }
            })?;
            candidates.push(self.core.resources.candidate(project, kind, resource.id).await?);
        }
        Ok(candidates)
    }
}

/// The project's vault, or the refusal.
pub(crate) async fn existing(tx: &mut Tx, project: ProjectId, id: VaultId) -> Result<Vault> {
    let vault = tx.vaults().find(project, id).await.map_err(db("reading a vault"))?;
    vault.ok_or(Error::VaultNotFound(id))
}

pub(super) async fn facts(
    tx: &mut Tx,
    wanted: &[WantedResource],
    candidates: Vec<Option<Candidate>>,
) -> Result<Vec<Facts>> {
    let ids: Vec<ResourceId> = wanted.iter().map(|resource| resource.id).collect();
    let bindings = tx.bindings().list(&ids).await.map_err(db("reading bindings"))?;
    let bound_to = |id| bindings.iter().find(|b| b.resource.id == id).map(|b| b.vault);
    Ok(candidates
        .into_iter()
        .zip(ids)
        .map(|(candidate, id)| Facts { candidate, bound_to: bound_to(id) })
        .collect())
}
