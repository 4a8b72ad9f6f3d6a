//! When policies are due: the column `next_run_at` of `vault_policies`, and the table `full_backups`.

use std::collections::HashMap;

use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::{ChainId, PolicyId, ProjectId, Timestamp, VaultId};

use crate::error::DbError;
use crate::policy_rows;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// A policy that works for a vault, and when it is next due there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueBinding {
    /// The project of both.
    pub project: ProjectId,
    /// The policy.
    pub policy: PolicyId,
    /// The vault.
    pub vault: VaultId,
    /// The first occurrence nothing has been decided about; none: to be planned.
    pub next_run_at: Option<Timestamp>,
}

/// All that is planned.
#[derive(Debug, Default)]
pub struct Plans {
    /// Which policy works for which vault, in order of both.
    pub bindings: Vec<DueBinding>,
    /// The policies, without the vaults they work for.
    pub policies: HashMap<PolicyId, Policy>,
    /// Why others cannot be read. They keep nobody else from being planned.
    pub unreadable: Vec<DbError>,
}

/// How "to be planned" is stored.
const UNPLANNED: Timestamp = Timestamp(0);

/// What decides whether the next backup of a resource is a full one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fulls {
    /// When the last full one was due, or made.
    pub full_at: Timestamp,
    /// Incremental ones that policies have made since.
    pub since_full: u32,
}

/// When policies are due.
#[derive(Debug)]
pub struct Schedules<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Schedules<'_> {
    /// Bindings of backup policies that are due or to be planned at `now`, at most `limit` of them,
    /// after `after` in order of their times.
    pub async fn due(
        &mut self,
        now: Timestamp,
        after: Option<&DueBinding>,
        limit: u32,
    ) -> Result<Vec<DueBinding>, DbError> {
        let mut sql = Sql::new(
            "SELECT b.policy_id, b.vault_id, b.next_run_at, p.project_id
             FROM vault_policies b JOIN policies p ON p.id = b.policy_id
             WHERE b.operation = 'backup' AND b.next_run_at <= $1",
        )
        .bind(now);
        if let Some(after) = after {
            sql.text(" AND (b.next_run_at, b.vault_id) > (");
            sql.value(after.next_run_at.unwrap_or(UNPLANNED)).text(", ");
            sql.value(after.vault).text(")");
        }
        sql.text(" ORDER BY b.next_run_at, b.vault_id LIMIT ").value(limit);
        let rows = self.tx.rows("schedules.due", "vault_policies", sql).await?;
        rows.iter().map(due_binding).collect()
    }

    /// All bindings of backup policies of every project, and the policies: what a clock that was set
    /// back makes to be planned again.
    pub async fn all(&mut self) -> Result<Plans, DbError> {
        let sql = Sql::new(
            "SELECT b.policy_id, b.vault_id, b.next_run_at, p.project_id
             FROM vault_policies b JOIN policies p ON p.id = b.policy_id
             WHERE b.operation = 'backup' ORDER BY b.policy_id, b.vault_id",
        );
        let rows = self.tx.rows("schedules.all", "vault_policies", sql).await?;
        let bindings = rows.iter().map(due_binding).collect::<Result<_, _>>()?;
        let sql = Sql::new("SELECT * FROM policies WHERE operation = $1");
        let sql = sql.bind(PolicyOperation::Backup.as_str());
        let rows = self.tx.rows("schedules.policies", "policies", sql).await?;
        let mut plans = Plans { bindings, ..Plans::default() };
        for row in &rows {
            match policy_rows::policy(row) {
                Ok(policy) => drop(plans.policies.insert(policy.id, policy)),
                Err(error) => plans.unreadable.push(error),
            }
        }
        Ok(plans)
    }

    /// When a policy is next due for a vault; none: it does not work for it. The inner: not planned.
    pub async fn next_run_at(
        &mut self,
        vault: VaultId,
        policy: PolicyId,
    ) -> Result<Option<Option<Timestamp>>, DbError> {
        let sql = Sql::new(
            "SELECT next_run_at FROM vault_policies WHERE vault_id = $1 AND policy_id = $2",
        );
        let sql = sql.bind(vault).bind(policy);
        let row = self.tx.row("schedules.next_run_at", "vault_policies", sql).await?;
        row.map(|row| planned(&row)).transpose()
    }

    /// Plans the next occurrence of a policy, for one vault or for all it works for.
    pub async fn plan(
        &mut self,
        policy: PolicyId,
        vault: Option<VaultId>,
        next: Option<Timestamp>,
    ) -> Result<u64, DbError> {
        let mut sql = Sql::new("UPDATE vault_policies SET next_run_at = $2 WHERE policy_id = $1");
        sql = sql.bind(policy).bind(next.unwrap_or(UNPLANNED));
        sql.and_equal("vault_id", vault);
        self.tx.execute("schedules.plan", sql).await
    }

    /// When the next policy is due; `None`: none is planned.
    pub async fn first(&mut self) -> Result<Option<Timestamp>, DbError> {
        let sql = Sql::new(
            "SELECT MIN(next_run_at) AS due_at FROM vault_policies WHERE operation = 'backup'",
        );
        let row = self.tx.row("schedules.first", "vault_policies", sql).await?;
        Ok(row.map(|row| row.time_opt("due_at")).transpose()?.flatten())
    }

    /// What is known of the full backups of a resource.
    pub async fn fulls(&mut self, chain: ChainId) -> Result<Option<Fulls>, DbError> {
        let sql = Sql::new("SELECT * FROM full_backups WHERE chain_id = $1").bind(chain);
        let row = self.tx.row("schedules.fulls", "full_backups", sql).await?;
        let fulls = |row: &Row| {
            Ok(Fulls { full_at: row.time("full_at")?, since_full: row.small("since_full")? })
        };
        row.map(|row| fulls(&row)).transpose()
    }

    /// Notes that a full backup of a resource is complete.
    pub async fn note_full(&mut self, chain: ChainId, at: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO full_backups (chain_id, full_at, since_full) VALUES ($1, $2, 0)
             ON CONFLICT (chain_id) DO UPDATE SET full_at = excluded.full_at, since_full = 0",
        );
        self.tx.execute("schedules.note_full", sql.bind(chain).bind(at)).await.map(drop)
    }

    /// Notes that a policy's incremental backup of a resource is complete.
    pub async fn note_incremental(&mut self, chain: ChainId) -> Result<(), DbError> {
        // What an older version made is not known: it counts from here.
        let sql = Sql::new(
            "INSERT INTO full_backups (chain_id, full_at, since_full) VALUES ($1, 0, 1)
             ON CONFLICT (chain_id) DO UPDATE SET since_full = full_backups.since_full + 1",
        );
        self.tx.execute("schedules.note_incremental", sql.bind(chain)).await.map(drop)
    }
}

fn due_binding(row: &Row) -> Result<DueBinding, DbError> {
    Ok(DueBinding {
        project: row.id("project_id")?,
        policy: row.id("policy_id")?,
        vault: row.id("vault_id")?,
        next_run_at: planned(row)?,
    })
}

fn planned(row: &Row) -> Result<Option<Timestamp>, DbError> {
    Ok(Some(row.time("next_run_at")?).filter(|at| *at != UNPLANNED))
}
