//! Table `organization_policies`.

use cbr_model::policy::PolicyOperation;
use cbr_model::policy::organization::{OrganizationPolicy, OrganizationPolicyStatus};
use cbr_model::{DomainId, OrganizationPolicyId};

use crate::error::DbError;
use crate::policy_rows::organization_policy;
use crate::row::to_json;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of organization policies.
#[derive(Debug)]
pub struct OrganizationPolicies<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl OrganizationPolicies<'_> {
    /// Adds one.
    pub async fn insert(&mut self, policy: &OrganizationPolicy) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO organization_policies (id, domain_id, name, description, effective_scope,
                 operation, policy_enabled, policy_name, patterns, start_window_minutes,
                 definition, status, created_at, updated_at, time_zone)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(policy.id)
        .bind(policy.domain)
        .bind(&policy.name)
        .bind(policy.description.as_ref())
        .bind(policy.effective_scope.as_ref())
        .bind(policy.operation.as_str())
        .bind(policy.policy_enabled)
        .bind(policy.policy_name.as_str())
        .bind(to_json(&policy.trigger.patterns))
        .bind(policy.trigger.start_window_minutes)
        .bind(to_json(&policy.definition))
        .bind(policy.status.as_str())
        .bind(policy.created_at)
        .bind(policy.updated_at)
        .bind(policy.trigger.zone.name());
        self.tx.execute("organization_policies.insert", sql).await.map(drop)
    }

    /// An account's organization policy with this id.
    pub async fn find(
        &mut self,
        domain: DomainId,
        policy: OrganizationPolicyId,
    ) -> Result<Option<OrganizationPolicy>, DbError> {
        let sql = Sql::new("SELECT * FROM organization_policies WHERE domain_id = $1 AND id = $2");
        let sql = sql.bind(domain).bind(policy);
        let row = self.tx.row("organization_policies.find", "organization_policies", sql).await?;
        row.map(|row| organization_policy(&row)).transpose()
    }

    /// All of an account that do this, newest first; there are at most
    /// [`cbr_model::policy::POLICIES_MAX`].
    pub async fn list(
        &mut self,
        domain: DomainId,
        operation: PolicyOperation,
    ) -> Result<Vec<OrganizationPolicy>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM organization_policies WHERE domain_id = $1 AND operation = $2
             ORDER BY created_at DESC, id DESC",
        );
        self.many("organization_policies.list", sql.bind(domain).bind(operation.as_str())).await
    }

    /// Those of all accounts, for the sweep that makes their copies.
    pub async fn list_all(&mut self) -> Result<Vec<OrganizationPolicy>, DbError> {
        let sql = Sql::new("SELECT * FROM organization_policies ORDER BY created_at, id");
        self.many("organization_policies.list_all", sql).await
    }

    /// Writes everything but account, operation and creation; says whether it exists.
    /// Also sets `updated_at` to now.
    pub async fn update(&mut self, policy: &OrganizationPolicy) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE organization_policies SET name = $3, description = $4, effective_scope = $5,
                 policy_enabled = $6, policy_name = $7, patterns = $8, start_window_minutes = $9,
                 definition = $10, status = $11, updated_at = $12, time_zone = $13
             WHERE domain_id = $1 AND id = $2",
        )
        .bind(policy.domain)
        .bind(policy.id)
        .bind(&policy.name)
        .bind(policy.description.as_ref())
        .bind(policy.effective_scope.as_ref())
        .bind(policy.policy_enabled)
        .bind(policy.policy_name.as_str())
        .bind(to_json(&policy.trigger.patterns))
        .bind(policy.trigger.start_window_minutes)
        .bind(to_json(&policy.definition))
        .bind(policy.status.as_str())
        .bind(self.tx.now())
        .bind(policy.trigger.zone.name());
        self.tx.execute_one("organization_policies.update", sql).await
    }

    /// Notes that every project has its present form; says whether that is news.
    pub async fn set_available(&mut self, policy: OrganizationPolicyId) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE organization_policies SET status = $2 WHERE id = $1")
            .bind(policy)
            .bind(OrganizationPolicyStatus::Available.as_str());
        self.tx.execute_one("organization_policies.set_available", sql).await
    }

    /// Removes one; says whether it was there.
    /// [`DbError::StillReferenced`] while it has copies.
    pub async fn delete(
        &mut self,
        domain: DomainId,
        policy: OrganizationPolicyId,
    ) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM organization_policies WHERE domain_id = $1 AND id = $2");
        self.tx.execute_one("organization_policies.delete", sql.bind(domain).bind(policy)).await
    }

    async fn many(
        &mut self,
        name: &'static str,
        sql: Sql,
    ) -> Result<Vec<OrganizationPolicy>, DbError> {
        let rows = self.tx.rows(name, "organization_policies", sql).await?;
        rows.iter().map(organization_policy).collect()
    }
}
