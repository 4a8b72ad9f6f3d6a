//! The sweep that gives every project of an account its copies: also projects that came later.

use cbr_db::Tx;
use cbr_model::policy::organization::{OrganizationPolicy, OrganizationPolicyStatus};

use super::service::OrganizationPolicies;
use crate::error::db;
use crate::rules::organization_policy::{Step, steps};
use crate::{Result, schedules};

const DOING: &str = "copying organization policies";

impl OrganizationPolicies {
    /// Makes and changes the copies that are missing or old; says how many.
    pub async fn sync(&self) -> Result<u64> {
        // Looked at without holding up those who write: most often there is nothing to do.
        let mut tx = self.core.db.read().await.map_err(db(DOING))?;
        let mut due = Vec::new();
        for policy in tx.organization_policies().list_all().await.map_err(db(DOING))? {
            let is_new = policy.status == OrganizationPolicyStatus::Syncing;
            if is_new || !planned(&mut tx, &policy).await?.is_empty() {
                due.push(policy);
            }
        }
        drop(tx);
        let mut count = 0;
        for policy in due {
            let id = policy.id;
            match self.copy(policy).await {
                Ok(copies) => count += copies,
                // The next round tries it again; the others need not wait for it.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(policy.id = %id, error, "an organization policy was not copied");
                }
            }
        }
        Ok(count)
    }

    /// All copies of one policy, in one transaction; it is read again, for it may have changed.
    async fn copy(&self, policy: OrganizationPolicy) -> Result<u64> {
        let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
        let found = tx.organization_policies().find(policy.domain, policy.id).await;
        let Some(policy) = found.map_err(db(DOING))? else { return Ok(0) };
        let steps = planned(&mut tx, &policy).await?;
        let count = steps.len() as u64;
        for step in steps {
            match step {
                Step::Make(copy) => tx.policies().insert(&copy).await.map_err(db(DOING))?,
                Step::Change(copy) => {
                    tx.policies().update(&copy).await.map_err(db(DOING))?;
                    schedules::replan(&mut tx, &copy).await?;
                }
            }
        }
        tx.organization_policies().set_available(policy.id).await.map_err(db(DOING))?;
        tx.commit().await.map_err(db(DOING))?;
        Ok(count)
    }
}

async fn planned(tx: &mut Tx, policy: &OrganizationPolicy) -> Result<Vec<Step>> {
    let projects = tx.projects().list(policy.domain).await.map_err(db(DOING))?;
    let copies = tx.policies().copies(policy.id).await.map_err(db(DOING))?;
    let projects: Vec<_> = projects.into_iter().map(|project| project.id).collect();
    Ok(steps(policy, &projects, &copies))
}
