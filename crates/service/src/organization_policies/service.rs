//! Use cases of organization policies. They belong to the caller's account, whatever its project.

use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::identity::Domain;
use cbr_model::policy::organization::{OrganizationPolicy, OrganizationPolicyStatus};
use cbr_model::policy::{POLICIES_MAX, PolicyOperation};
use cbr_model::query::{Listing, Page};
use cbr_model::{DomainId, OrganizationPolicyId, PolicyId, ProjectId};
use tokio::sync::Notify;

use super::requests::{NewOrganizationPolicy, OrganizationPolicyChange};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::policies::PolicyRefusal;
use crate::rules::organization_policy::{self as rules, is_current, released};
use crate::rules::policy::{check_quota, check_same_destination};
use crate::{Access, Result};

/// Use cases of organization policies.
#[derive(Debug)]
pub struct OrganizationPolicies {
    pub(super) core: Arc<Core>,
    /// Something is to be copied.
    changed: Notify,
}

/// The copy of an organization policy in a project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyCopy {
    /// The project.
    pub project: ProjectId,
    /// The copy; its id is known before it is there.
    pub policy: PolicyId,
    /// Whether the project has it in its present form.
    pub status: OrganizationPolicyStatus,
}

impl OrganizationPolicies {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, changed: Notify::new() }
    }

    /// Completes when there is something to be copied.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Makes an organization policy; a sweep copies it into every project (contract C45).
    pub async fn create(
        &self,
        access: &Access,
        wanted: NewOrganizationPolicy,
    ) -> Result<OrganizationPolicy> {
        let id = OrganizationPolicyId::random(&*self.core.random);
        let policy = rules::build(&wanted, id, domain(access).id, self.core.clock.now())?;
        let doing = "creating an organization policy";
        let mut tx = self.core.change_account(access, doing).await?;
        let others = tx.organization_policies().list(policy.domain, policy.operation).await;
        check_quota(others.map_err(db(doing))?.len() as u64, POLICIES_MAX, policy.operation)?;
        tx.organization_policies().insert(&policy).await.map_err(db(doing))?;
        tx.commit(Subject::new(policy.id, &policy.name)).await?;
        self.changed.notify_one();
        Ok(policy)
    }

    /// Lists the account's organization policies that do this, newest first (contract C46).
    pub async fn list(
        &self,
        access: &Access,
        operation: PolicyOperation,
        page: Page,
    ) -> Result<Listing<OrganizationPolicy>> {
        let doing = "listing organization policies";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let all = tx.organization_policies().list(domain(access).id, operation).await;
        let all = all.map_err(db(doing))?;
        let total = all.len() as u64;
        let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let rows = all.into_iter().skip(offset).take(page.limit as usize).collect();
        Ok(Listing { rows, total })
    }

    /// One organization policy (contract C47).
    pub async fn show(
        &self,
        access: &Access,
        id: OrganizationPolicyId,
    ) -> Result<OrganizationPolicy> {
        let mut tx = self.core.db.read().await.map_err(db("reading an organization policy"))?;
        existing(&mut tx, domain(access).id, id).await
    }

    /// Changes what `change` names; a sweep changes the copies (contract C48).
    pub async fn update(
        &self,
        access: &Access,
        id: OrganizationPolicyId,
        change: OrganizationPolicyChange,
    ) -> Result<OrganizationPolicy> {
        let doing = "changing an organization policy";
        let mut tx = self.core.change_account(access, doing).await?;
        let before = existing(&mut tx, domain(access).id, id).await?;
        let after = rules::changed(before.clone(), &change, tx.now())?;
        for copy in tx.policies().copies(id).await.map_err(db(doing))? {
            if !copy.vaults.is_empty() {
                let (old, new) = (&before.definition, &after.definition);
                check_same_destination(copy.id, after.operation, old, new)?;
            }
        }
        tx.organization_policies().update(&after).await.map_err(db(doing))?;
        tx.commit(Subject::new(after.id, &after.name)).await?;
        self.changed.notify_one();
        Ok(after)
    }

    /// Deletes an organization policy with its copies (contract C49). A copy that works for vaults
    /// stays, as the project's own.
    pub async fn delete(&self, access: &Access, id: OrganizationPolicyId) -> Result<()> {
        let doing = "deleting an organization policy";
        let mut tx = self.core.change_account(access, doing).await?;
        let policy = existing(&mut tx, domain(access).id, id).await?;
        for copy in tx.policies().copies(id).await.map_err(db(doing))? {
            if copy.vaults.is_empty() {
                tx.policies().delete(copy.project, copy.id).await.map_err(db(doing))?;
            } else {
                tx.policies().update(&released(copy)).await.map_err(db(doing))?;
            }
        }
        tx.organization_policies().delete(policy.domain, id).await.map_err(db(doing))?;
        tx.commit(Subject::new(policy.id, &policy.name)).await
    }

    /// How far each project of the account is (contract C50).
    pub async fn copies(
        &self,
        access: &Access,
        id: OrganizationPolicyId,
    ) -> Result<Vec<PolicyCopy>> {
        let doing = "listing copies of an organization policy";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let policy = existing(&mut tx, domain(access).id, id).await?;
        let copies = tx.policies().copies(id).await.map_err(db(doing))?;
        let projects = tx.projects().list(policy.domain).await.map_err(db(doing))?;
        let of_project = |project: ProjectId| {
            let wanted = policy.copy_in(project);
            let is_done = copies.iter().any(|copy| is_current(copy, &wanted));
            let status = if is_done {
                OrganizationPolicyStatus::Available
            } else {
                OrganizationPolicyStatus::Syncing
            };
            PolicyCopy { project, policy: wanted.id, status }
        };
        Ok(projects.into_iter().map(|project| of_project(project.id)).collect())
    }
}

const fn domain(access: &Access) -> &Domain {
    &access.caller().domain
}

/// The account's organization policy, or the refusal.
async fn existing(
    tx: &mut Tx,
    domain: DomainId,
    id: OrganizationPolicyId,
) -> Result<OrganizationPolicy> {
    let found = tx.organization_policies().find(domain, id).await;
    let found = found.map_err(db("reading an organization policy"))?;
    found.ok_or(PolicyRefusal::OrganizationNotFound(id).into())
}
