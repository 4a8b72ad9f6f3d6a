//! Table `policy_runs`: what became of each occurrence of a policy.

use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::query::{Listing, Page, PolicyRunFilter};
use cbr_model::{ProjectId, Timestamp};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of occurrences.
#[derive(Debug)]
pub struct PolicyRuns<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl PolicyRuns<'_> {
    /// Writes down what became of an occurrence; says whether it was. What was decided before stays,
    /// unless it waits to be tried again, or was missed: then nothing was done.
    pub async fn decide(&mut self, run: &PolicyRun) -> Result<bool, DbError> {
        let sql = Sql::new(
            "INSERT INTO policy_runs (id, policy_id, vault_id, occurrence, project_id, policy_name,
                 vault_name, state, reason, message, checkpoint_id, started, skipped, full_backups,
                 decided_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (policy_id, vault_id, occurrence) DO UPDATE SET
                 policy_name = excluded.policy_name, vault_name = excluded.vault_name,
                 state = excluded.state, reason = excluded.reason, message = excluded.message,
                 checkpoint_id = excluded.checkpoint_id, started = excluded.started,
                 skipped = excluded.skipped, full_backups = excluded.full_backups,
                 decided_at = excluded.decided_at
             WHERE policy_runs.state IN ('waiting', 'missed')",
        )
        .bind(run.id())
        .bind(run.policy)
        .bind(run.vault)
        .bind(run.occurrence)
        .bind(run.project)
        .bind(&run.policy_name)
        .bind(&run.vault_name)
        .bind(run.state.as_str())
        .bind(run.reason.as_str())
        .bind(&run.message)
        .bind(run.checkpoint)
        .bind(run.started)
        .bind(run.skipped)
        .bind(run.full)
        .bind(run.decided_at);
        self.tx.execute_one("policy_runs.decide", sql).await
    }

    /// What became of one, if anything did.
    pub async fn find(&mut self, run: &PolicyRun) -> Result<Option<PolicyRun>, DbError> {
        let sql = Sql::new("SELECT * FROM policy_runs WHERE id = $1").bind(run.id());
        let row = self.tx.row("policy_runs.find", "policy_runs", sql).await?;
        row.map(|row| policy_run(&row)).transpose()
    }

    /// What was due after `from` and until `now` and was missed by a clock that was ahead of `now`, in
    /// whatever project.
    pub async fn missed_ahead(
        &mut self,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<PolicyRun>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM policy_runs WHERE occurrence > $1 AND occurrence <= $2
             AND decided_at > $2 AND state = 'missed' ORDER BY occurrence, id",
        );
        let sql = sql.bind(from).bind(now);
        let rows = self.tx.rows("policy_runs.missed_ahead", "policy_runs", sql).await?;
        rows.iter().map(policy_run).collect()
    }

    /// A page of a project's occurrences, the latest first.
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &PolicyRunFilter,
        page: &Page,
    ) -> Result<Listing<PolicyRun>, DbError> {
        let mut sql = Sql::new("FROM policy_runs t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.policy_id", filter.policy);
        sql.and_equal("t.vault_id", filter.vault);
        sql.and_one_of("t.state", filter.states.iter().map(|state| state.as_str()));
        if let Some(from) = filter.from {
            sql.text(" AND t.occurrence >= ").value(from);
        }
        if let Some(until) = filter.until {
            sql.text(" AND t.occurrence <= ").value(until);
        }
        let listed = Listed {
            name: "policy_runs.list",
            table: "policy_runs",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.occurrence"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        let rows = rows.iter().map(policy_run).collect::<Result<_, _>>()?;
        Ok(Listing { rows, total })
    }

    /// Forgets occurrences that were due before `time`; says how many.
    pub async fn delete_before(&mut self, time: Timestamp) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM policy_runs WHERE occurrence < $1").bind(time);
        self.tx.execute("policy_runs.delete_before", sql).await
    }
}

fn policy_run(row: &Row) -> Result<PolicyRun, DbError> {
    Ok(PolicyRun {
        policy: row.id("policy_id")?,
        vault: row.id("vault_id")?,
        occurrence: row.time("occurrence")?,
        project: row.id("project_id")?,
        policy_name: row.text("policy_name")?,
        vault_name: row.text("vault_name")?,
        state: row.word("state", RunState::from_str_exact)?,
        reason: row.word("reason", RunReason::from_str_exact)?,
        message: row.text("message")?,
        checkpoint: row.id_opt("checkpoint_id")?,
        started: row.small("started")?,
        skipped: row.small("skipped")?,
        full: row.small("full_backups")?,
        decided_at: row.time("decided_at")?,
    })
}
