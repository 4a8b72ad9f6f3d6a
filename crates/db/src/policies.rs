//! Tables `policies` and `vault_policies`.

use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::query::{Listing, Page, PolicyFilter};
use cbr_model::{OrganizationPolicyId, PolicyId, ProjectId, VaultId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::policy_rows;
use crate::row::to_json;
use crate::sql::Sql;
use crate::tx::Tx;

/// The tables of policies and of the vaults they work for.
#[derive(Debug)]
pub struct Policies<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Policies<'_> {
    /// Adds a policy, bound to nothing.
    pub async fn insert(&mut self, policy: &Policy) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO policies (id, project_id, name, enabled, operation, origin,
                 organization_policy_id, trigger_id, patterns, start_window_minutes, definition,
                 created_at, updated_at, time_zone)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(policy.id)
        .bind(policy.project)
        .bind(policy.name.as_str())
        .bind(policy.enabled)
        .bind(policy.operation.as_str())
        .bind(policy.origin.as_str())
        .bind(policy.organization)
        .bind(policy.trigger_id)
        .bind(to_json(&policy.trigger.patterns))
        .bind(policy.trigger.start_window_minutes)
        .bind(to_json(&policy.definition))
        .bind(policy.created_at)
        .bind(policy.updated_at)
        .bind(policy.trigger.zone.name());
        self.tx.execute("policies.insert", sql).await.map(drop)
    }

    /// A project's policy with this id, with the vaults it works for.
    pub async fn find(
        &mut self,
        project: ProjectId,
        policy: PolicyId,
    ) -> Result<Option<Policy>, DbError> {
        let sql = Sql::new("SELECT * FROM policies WHERE project_id = $1 AND id = $2");
        let sql = sql.bind(project).bind(policy);
        let rows = self.tx.rows("policies.find", "policies", sql).await?;
        Ok(policy_rows::load(self.tx, &rows).await?.pop())
    }

    /// A page of a project's policies, newest first (contract C41).
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &PolicyFilter,
        page: &Page,
    ) -> Result<Listing<Policy>, DbError> {
        let mut sql = Sql::new("FROM policies t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.operation", filter.operation.map(PolicyOperation::as_str));
        if let Some(vault) = filter.vault {
            sql.text(" AND EXISTS (SELECT 1 FROM vault_policies b WHERE b.policy_id = t.id");
            sql.and_equal("b.vault_id", Some(vault)).text(")");
        }
        let listed = Listed {
            name: "policies.list",
            table: "policies",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: policy_rows::load(self.tx, &rows).await?, total })
    }

    /// How many policies of this operation the project made itself (POL-01).
    pub async fn count_own(
        &mut self,
        project: ProjectId,
        operation: PolicyOperation,
    ) -> Result<u64, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM policies
             WHERE project_id = $1 AND operation = $2 AND organization_policy_id IS NULL",
        );
        let sql = sql.bind(project).bind(operation.as_str());
        self.tx.number("policies.count_own", sql).await
    }

    /// Writes name, switch, origin, trigger and definition; says whether the policy exists.
    /// Also sets `updated_at` to now.
    pub async fn update(&mut self, policy: &Policy) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE policies SET name = $3, enabled = $4, origin = $5,
                 organization_policy_id = $6, patterns = $7, start_window_minutes = $8,
                 definition = $9, updated_at = $10, time_zone = $11
             WHERE project_id = $1 AND id = $2",
        )
        .bind(policy.project)
        .bind(policy.id)
        .bind(policy.name.as_str())
        .bind(policy.enabled)
        .bind(policy.origin.as_str())
        .bind(policy.organization)
        .bind(to_json(&policy.trigger.patterns))
        .bind(policy.trigger.start_window_minutes)
        .bind(to_json(&policy.definition))
        .bind(self.tx.now())
        .bind(policy.trigger.zone.name());
        self.tx.execute_one("policies.update", sql).await
    }

    /// Removes a policy and takes it off its vaults; says whether it was there.
    pub async fn delete(&mut self, project: ProjectId, policy: PolicyId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM policies WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("policies.delete", sql.bind(project).bind(policy)).await
    }

    /// The copies of an organization policy, in whatever project.
    pub async fn copies(
        &mut self,
        organization: OrganizationPolicyId,
    ) -> Result<Vec<Policy>, DbError> {
        let sql = Sql::new("SELECT * FROM policies WHERE organization_policy_id = $1 ORDER BY id");
        let sql = sql.bind(organization);
        let rows = self.tx.rows("policies.copies", "policies", sql).await?;
        policy_rows::load(self.tx, &rows).await
    }

    /// Lets a policy work for a vault, in place of the one of the same operation; when it is next due
    /// is to be planned.
    pub async fn bind(
        &mut self,
        vault: VaultId,
        policy: PolicyId,
        operation: PolicyOperation,
        destination: Option<VaultId>,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO vault_policies (vault_id, policy_id, operation, destination_vault_id,
                 bound_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (vault_id, operation) DO UPDATE SET policy_id = excluded.policy_id,
                 destination_vault_id = excluded.destination_vault_id,
                 bound_at = excluded.bound_at, next_run_at = 0",
        )
        .bind(vault)
        .bind(policy)
        .bind(operation.as_str())
        .bind(destination)
        .bind(self.tx.now());
        self.tx.execute("policies.bind", sql).await.map(drop)
    }

    /// Takes a policy off a vault; says whether it worked for it.
    pub async fn unbind(&mut self, vault: VaultId, policy: PolicyId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM vault_policies WHERE vault_id = $1 AND policy_id = $2");
        self.tx.execute_one("policies.unbind", sql.bind(vault).bind(policy)).await
    }
}
