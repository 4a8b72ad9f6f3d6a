//! Table `billing_steps`: how far it has come with vaults that are not paid for; and which those are.

use cbr_model::billing::{BillingStep, StepKind};
use cbr_model::vault::Charging;
use cbr_model::{DomainId, ProjectId, Timestamp, VaultId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of steps.
#[derive(Debug)]
pub struct BillingSteps<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl BillingSteps<'_> {
    /// The last step that was taken with a vault.
    pub async fn find(&mut self, vault: VaultId) -> Result<Option<BillingStep>, DbError> {
        let sql = Sql::new("SELECT * FROM billing_steps WHERE vault_id = $1").bind(vault);
        let row = self.tx.row("billing_steps.find", "billing_steps", sql).await?;
        row.map(|row| {
            Ok(BillingStep {
                kind: row.word("step", StepKind::from_str_exact)?,
                scene: row.text("scene")?,
                observed: row.count("observed")?,
                at: row.time("at")?,
            })
        })
        .transpose()
    }

    /// Writes down a step; the one before is replaced.
    pub async fn set(
        &mut self,
        project: ProjectId,
        vault: VaultId,
        step: &BillingStep,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO billing_steps (vault_id, project_id, step, scene, observed, at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (vault_id) DO UPDATE SET step = excluded.step, scene = excluded.scene,
                 observed = excluded.observed, at = excluded.at",
        )
        .bind(vault)
        .bind(project)
        .bind(step.kind.as_str())
        .bind(&step.scene)
        .bind(step.observed)
        .bind(step.at);
        self.tx.execute("billing_steps.set", sql).await.map(drop)
    }

    /// Forgets it; a later debt begins anew.
    pub async fn delete(&mut self, vault: VaultId) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM billing_steps WHERE vault_id = $1").bind(vault);
        self.tx.execute("billing_steps.delete", sql).await.map(drop)
    }

    /// Vaults that something may have to be done with: of which a step is noted; that are frozen because
    /// of money; whose period is over at `now`; or that are charged by use, of these accounts. In order of
    /// their ids, at most `limit` of them after `after`.
    pub async fn candidates(
        &mut self,
        now: Timestamp,
        in_arrears: &[DomainId],
        after: Option<VaultId>,
        limit: u32,
    ) -> Result<Vec<(ProjectId, VaultId)>, DbError> {
        let mut sql = Sql::new(
            "SELECT id, project_id FROM vaults WHERE (id IN (SELECT vault_id FROM billing_steps)
             OR (status = 'frozen' AND frozen_scene IN ($1, $2))
             OR (charging_mode = 'pre_paid' AND paid_until IS NOT NULL AND paid_until <= $3)",
        )
        .bind(Charging::ARREARS)
        .bind(Charging::EXPIRED)
        .bind(now);
        if !in_arrears.is_empty() {
            sql.text(
                " OR (charging_mode = 'post_paid' AND project_id IN (
                     SELECT id FROM projects WHERE 1 = 1",
            );
            sql.and_one_of("domain_id", in_arrears.iter().copied()).text("))");
        }
        sql.text(")");
        if let Some(after) = after {
            sql.text(" AND id > ").value(after);
        }
        sql.text(" ORDER BY id LIMIT ").value(limit);
        let rows = self.tx.rows("billing_steps.candidates", "vaults", sql).await?;
        rows.iter().map(|row| Ok((row.id("project_id")?, row.id("id")?))).collect()
    }
}
