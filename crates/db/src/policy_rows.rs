//! Rows of `policies`, `organization_policies` and `vault_policies` on their way to the model.

use std::collections::HashMap;

use cbr_model::PolicyId;
use cbr_model::name::Name;
use cbr_model::policy::organization::{OrganizationPolicy, OrganizationPolicyStatus};
use cbr_model::policy::{AssociatedVault, Policy, PolicyOperation, PolicyOrigin, Trigger};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The policies of these rows, complete.
pub(crate) async fn load(tx: &mut Tx, rows: &[Row]) -> Result<Vec<Policy>, DbError> {
    let mut policies = rows.iter().map(policy).collect::<Result<Vec<_>, _>>()?;
    if policies.is_empty() {
        return Ok(policies);
    }
    let mut sql = Sql::new("SELECT * FROM vault_policies WHERE 1 = 1");
    sql.and_one_of("policy_id", policies.iter().map(|policy| policy.id));
    sql.text(" ORDER BY policy_id, bound_at, vault_id");
    let mut vaults: HashMap<PolicyId, Vec<AssociatedVault>> = HashMap::new();
    for row in tx.rows("policies.vaults", "vault_policies", sql).await? {
        let vault = AssociatedVault {
            vault: row.id("vault_id")?,
            destination: row.id_opt("destination_vault_id")?,
        };
        vaults.entry(row.id("policy_id")?).or_default().push(vault);
    }
    for policy in &mut policies {
        policy.vaults = vaults.remove(&policy.id).unwrap_or_default();
    }
    Ok(policies)
}

/// A row of `policies`, without the vaults it works for.
pub(crate) fn policy(row: &Row) -> Result<Policy, DbError> {
    Ok(Policy {
        id: row.id("id")?,
        project: row.id("project_id")?,
        name: name(row, "name")?,
        enabled: row.flag("enabled")?,
        operation: row.word("operation", PolicyOperation::from_str_exact)?,
        origin: row.word("origin", PolicyOrigin::from_str_exact)?,
        organization: row.id_opt("organization_policy_id")?,
        trigger_id: row.id("trigger_id")?,
        trigger: trigger(row)?,
        definition: row.json("definition")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        vaults: Vec::new(),
    })
}

/// A row of `organization_policies`.
pub(crate) fn organization_policy(row: &Row) -> Result<OrganizationPolicy, DbError> {
    Ok(OrganizationPolicy {
        id: row.id("id")?,
        domain: row.id("domain_id")?,
        name: row.text("name")?,
        description: row.text_opt("description")?,
        effective_scope: row.text_opt("effective_scope")?,
        operation: row.word("operation", PolicyOperation::from_str_exact)?,
        policy_enabled: row.flag("policy_enabled")?,
        policy_name: name(row, "policy_name")?,
        trigger: trigger(row)?,
        definition: row.json("definition")?,
        status: row.word("status", OrganizationPolicyStatus::from_str_exact)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn name(row: &Row, column: &'static str) -> Result<Name, DbError> {
    row.text(column)?.try_into().map_err(|error| row.inconsistent(column, error))
}

fn trigger(row: &Row) -> Result<Trigger, DbError> {
    Ok(Trigger {
        patterns: row.json("patterns")?,
        start_window_minutes: row.small_opt("start_window_minutes")?,
        zone: row.parsed("time_zone")?,
    })
}
