//! Use cases of policies.

use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::policy::Policy;
use cbr_model::query::{Listing, Page, PolicyFilter};
use cbr_model::vault::{Vault, VaultUse};
use cbr_model::{PolicyId, ProjectId, TriggerId, VaultId};

use super::refusal::PolicyRefusal;
use super::requests::{NewPolicy, PolicyChange};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::replication::ReplicaError;
use crate::retention::bound_policy;
use crate::rules::policy as rules;
use crate::rules::policy_binding::{self as binding, Bind};
use crate::vaults::{existing as existing_vault, policies_max};
use crate::{Access, Error, Result, schedules};

/// Use cases of policies.
#[derive(Debug)]
pub struct Policies {
    pub(super) core: Arc<Core>,
}

impl Policies {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Makes a policy (contract C40).
    pub async fn create(&self, access: &Access, wanted: NewPolicy) -> Result<Policy> {
        self.make(access, wanted, false).await
    }

    /// The same, or the one of that name and operation if the project has it and `is_shared` says so.
    pub(super) async fn make(
        &self,
        access: &Access,
        wanted: NewPolicy,
        is_shared: bool,
    ) -> Result<Policy> {
        let random = &*self.core.random;
        let ids = (PolicyId::random(random), TriggerId::random(random));
        let policy = rules::build(&wanted, ids, access.project(), self.core.clock.now())?;
        let mut tx = self.core.change(access, "creating a policy").await?;
        if is_shared {
            let filter = PolicyFilter { operation: Some(policy.operation), vault: None };
            let known = tx.policies().list(policy.project, &filter, &Page::default()).await;
            let mut known = known.map_err(db("listing policies"))?.rows.into_iter();
            if let Some(known) = known.find(|known| known.name == policy.name) {
                return Ok(known);
            }
        }
        let own = tx.policies().count_own(policy.project, policy.operation).await;
        let limit = policies_max(&mut tx, access, policy.operation).await?;
        rules::check_quota(own.map_err(db("counting policies"))?, limit, policy.operation)?;
        tx.policies().insert(&policy).await.map_err(db("adding a policy"))?;
        tx.commit(Subject::new(policy.id, &policy.name)).await?;
        Ok(policy)
    }

    /// Lists policies, newest first (contract C41).
    pub async fn list(
        &self,
        access: &Access,
        filter: &PolicyFilter,
        page: Page,
    ) -> Result<Listing<Policy>> {
        let mut tx = self.core.db.read().await.map_err(db("listing policies"))?;
        tx.policies().list(access.project(), filter, &page).await.map_err(db("listing policies"))
    }

    /// One policy (contract C42).
    pub async fn show(&self, access: &Access, policy: PolicyId) -> Result<Policy> {
        let mut tx = self.core.db.read().await.map_err(db("reading a policy"))?;
        existing(&mut tx, access.project(), policy).await
    }

    /// Changes what `change` names (contract C43).
    pub async fn update(
        &self,
        access: &Access,
        policy: PolicyId,
        change: PolicyChange,
    ) -> Result<Policy> {
        let mut tx = self.core.change(access, "changing a policy").await?;
        let before = existing(&mut tx, access.project(), policy).await?;
        let after = rules::changed(before, &change, tx.now())?;
        tx.policies().update(&after).await.map_err(db("changing a policy"))?;
        schedules::replan(&mut tx, &after).await?;
        tx.commit(Subject::new(after.id, &after.name)).await?;
        Ok(after)
    }

    /// Deletes a policy and takes it off its vaults; all backups stay (contract C44, POL-32, POL-33).
    pub async fn delete(&self, access: &Access, policy: PolicyId) -> Result<()> {
        let mut tx = self.core.change(access, "deleting a policy").await?;
        let policy = existing(&mut tx, access.project(), policy).await?;
        rules::check_own(&policy)?;
        for bound in &policy.vaults {
            let vault = existing_vault(&mut tx, policy.project, bound.vault).await?;
            schedules::give_up(&mut tx, &policy, &vault).await?;
        }
        let deleted = tx.policies().delete(policy.project, policy.id).await;
        deleted.map_err(db("deleting a policy"))?;
        tx.commit(Subject::new(policy.id, &policy.name)).await
    }

    /// Lets policies work for a vault, in place of those of the same operation (contract C12).
    pub async fn bind(
        &self,
        access: &Access,
        vault: VaultId,
        policies: &[PolicyId],
        destination: Option<VaultId>,
    ) -> Result<()> {
        let mut tx = self.core.change(access, "binding a policy").await?;
        let vault = existing_vault(&mut tx, access.project(), vault).await?;
        let mut found = Vec::with_capacity(policies.len());
        for policy in policies {
            found.push(existing(&mut tx, access.project(), *policy).await?);
        }
        for wanted in binding::plan(&vault, &found, destination)? {
            match wanted {
                Bind::Backup(policy) => bind_in(&mut tx, &vault, policy).await?,
                Bind::Replication(policy, to) => {
                    return Err(refused_destination(&mut tx, access, policy, to).await?);
                }
            }
        }
        tx.commit(Subject::new(vault.id, &vault.name)).await
    }

    /// Takes a policy off a vault (contract C13). What it started goes on; ends that it stamped on
    /// backups still come (POL-51 … POL-54).
    pub async fn unbind(&self, access: &Access, vault: VaultId, policy: PolicyId) -> Result<()> {
        let mut tx = self.core.change(access, "unbinding a policy").await?;
        let vault = existing_vault(&mut tx, access.project(), vault).await?;
        let policy = existing(&mut tx, access.project(), policy).await?;
        if !vault.status.allows(VaultUse::UnbindPolicy) {
            return Err(Error::VaultStatus { status: vault.status });
        }
        schedules::give_up(&mut tx, &policy, &vault).await?;
        let was_bound = tx.policies().unbind(vault.id, policy.id).await;
        if !was_bound.map_err(db("unbinding a policy"))? {
            return Err(PolicyRefusal::NotBound { policy: policy.id, vault: vault.id }.into());
        }
        tx.commit(Subject::new(vault.id, &vault.name)).await
    }
}

/// The project's policy, or the refusal.
pub(crate) async fn existing(tx: &mut Tx, project: ProjectId, id: PolicyId) -> Result<Policy> {
    let policy = tx.policies().find(project, id).await.map_err(db("reading a policy"))?;
    policy.ok_or(PolicyRefusal::NotFound(id).into())
}

/// Lets a backup policy work for a vault.
pub(crate) async fn bind_in(tx: &mut Tx, vault: &Vault, policy: &Policy) -> Result<()> {
    if let Some(before) =
        bound_policy(tx, vault.project, vault.id).await.map_err(db("binding a policy"))?
    {
        schedules::give_up(tx, &before, vault).await?;
    }
    let bound = tx.policies().bind(vault.id, policy.id, policy.operation, None).await;
    bound.map_err(db("binding a policy"))?;
    schedules::plan_bound(tx, policy, vault.id).await
}

/// Why replicas cannot go to `to`: no vault here takes replicas, and no other region is known. The
/// contract tells three ways of it apart.
async fn refused_destination(
    tx: &mut Tx,
    access: &Access,
    policy: &Policy,
    to: VaultId,
) -> Result<Error> {
    let target = policy.definition.replication_target()?;
    let project = tx.projects().find(target.project).await.map_err(db("reading a project"))?;
    let own = access.caller().domain.id;
    // By custom a project has the region's name. Another account's looks like one that does not exist.
    let is_here = project.is_some_and(|p| p.domain == own && p.name == target.region);
    if !is_here {
        return Ok(Error::Policy(PolicyRefusal::DestinationUnknown {
            region: target.region,
            project: target.project,
        }));
    }
    let vault = tx.vaults().find(target.project, to).await.map_err(db("reading a vault"))?;
    Ok(match vault {
        None => ReplicaError::DestinationVaultNotFound(to).into(),
        Some(vault) => ReplicaError::DestinationVaultRefused(vault.id).into(),
    })
}
