//! What the retention of a policy would do to a vault's backups now. Nothing is done by asking.

use cbr_db::Tx;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::retention::Retention;
use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::query::{BackupFilter, PAGE_LIMIT_MAX, Page, PolicyFilter};
use cbr_model::{BackupId, PolicyId, ProjectId, ResourceId, Timestamp, VaultId};

use super::refusal::PolicyRefusal;
use super::service::{Policies, existing};
use crate::error::db;
use crate::rules::policy as rules;
use crate::rules::retention::plan::{Candidate, Condition, Governing, Verdict, plan};
use crate::vaults::existing as existing_vault;
use crate::{Access, Result};

/// Which backups, and under which rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PreviewRequest {
    /// Of this resource only.
    pub resource: Option<ResourceId>,
    /// As if this policy worked for the vault, instead of the one that does.
    pub policy: Option<PolicyId>,
    /// As if the policy, enabled, had this definition.
    pub definition: Option<OperationDefinition>,
}

/// What would happen now.
#[derive(Clone, PartialEq, Debug)]
pub struct RetentionPreview {
    /// What the backups would be under.
    pub governed: Governed,
    /// What is possible and will not do what it seems to (POL-22).
    pub warnings: Vec<String>,
    /// All backups of the vault or resource, newest first.
    pub backups: Vec<Previewed>,
}

/// What a vault's backups are under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Governed {
    /// The rule of this policy; of none, where only a definition was given.
    Policy(Option<PolicyId>),
    /// Nothing, for this policy is switched off.
    Disabled(PolicyId),
    /// Nothing, for there is no policy.
    Nothing,
}

/// A backup, and what happens to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Previewed {
    /// The backup.
    pub backup: Backup,
    /// What happens to it.
    pub verdict: Verdict,
}

impl Policies {
    /// What the retention of the vault's policy, or of the one asked for, would do now.
    pub async fn preview(
        &self,
        access: &Access,
        vault: VaultId,
        request: &PreviewRequest,
    ) -> Result<RetentionPreview> {
        let doing = "previewing retention";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let project = access.project();
        let vault = existing_vault(&mut tx, project, vault).await?;
        let policy = if let Some(policy) = request.policy {
            Some(existing(&mut tx, project, policy).await?)
        } else {
            bound_backup_policy(&mut tx, project, vault.id).await?
        };
        let rule = rule(policy, request.definition.as_ref())?;
        let backups = backups(&mut tx, project, vault.id, request.resource).await?;
        let ids: Vec<BackupId> = backups.iter().map(|backup| backup.id).collect();
        let imaged = tx.images().of_backups(project, &ids).await.map_err(db(doing))?;
        let candidates: Vec<Candidate> = backups
            .iter()
            .map(|backup| candidate(backup, imaged.contains_key(&backup.id)))
            .collect();
        let verdicts = plan(&candidates, rule.governing(), tx.now());
        let backups = backups
            .into_iter()
            .zip(verdicts)
            .map(|(backup, verdict)| Previewed { backup, verdict })
            .collect();
        Ok(RetentionPreview { governed: rule.governed, warnings: rule.warnings, backups })
    }
}

/// The policy that backs the vault up, if one does.
pub(super) async fn bound_backup_policy(
    tx: &mut Tx,
    project: ProjectId,
    vault: VaultId,
) -> Result<Option<Policy>> {
    let filter = PolicyFilter { operation: Some(PolicyOperation::Backup), vault: Some(vault) };
    let bound = tx.policies().list(project, &filter, &Page::default()).await;
    Ok(bound.map_err(db("reading a vault's policy"))?.rows.pop())
}

/// When the automatic backups of a vault that are made at `made` end (RET-20); none: not by time.
pub(crate) async fn end_of(
    tx: &mut Tx,
    project: ProjectId,
    vault: VaultId,
    made: Timestamp,
) -> Result<Option<Timestamp>> {
    match bound_backup_policy(tx, project, vault).await? {
        Some(policy) if policy.enabled => Ok(Retention::read(&policy.definition)?.expires_at(made)),
        _ => Ok(None),
    }
}

/// All backups of a vault, or of one resource in it, newest first.
async fn backups(
    tx: &mut Tx,
    project: ProjectId,
    vault: VaultId,
    resource: Option<ResourceId>,
) -> Result<Vec<Backup>> {
    let filter = BackupFilter { vault: Some(vault), resource, ..BackupFilter::default() };
    let mut backups: Vec<Backup> = Vec::new();
    loop {
        let page = Page { offset: backups.len() as u64, ..Page::default() };
        let listed = tx.backups().list(project, &filter, &page).await;
        let listed = listed.map_err(db("listing backups"))?;
        let is_last = listed.rows.len() < PAGE_LIMIT_MAX as usize;
        backups.extend(listed.rows);
        if is_last {
            return Ok(backups);
        }
    }
}

/// What the backups are looked at under.
struct Rule {
    governed: Governed,
    retention: Option<Retention>,
    warnings: Vec<String>,
}

impl Rule {
    const fn governing(&self) -> Governing<'_> {
        match (self.governed, &self.retention) {
            (Governed::Policy(_), Some(retention)) => Governing::Policy(retention),
            (Governed::Disabled(_), _) => Governing::Disabled,
            _ => Governing::Nothing,
        }
    }
}

fn rule(policy: Option<Policy>, wanted: Option<&OperationDefinition>) -> Result<Rule> {
    if let Some(policy) = policy.as_ref().filter(|p| p.operation != PolicyOperation::Backup) {
        let operation = policy.operation.as_str();
        return Err(PolicyRefusal::NotApplicable { policy: policy.id, operation }.into());
    }
    let id = policy.as_ref().map(|policy| policy.id);
    let definition = match (wanted, &policy) {
        (Some(wanted), _) => wanted,
        (None, Some(policy)) if policy.enabled => &policy.definition,
        (None, Some(policy)) => {
            let governed = Governed::Disabled(policy.id);
            return Ok(Rule { governed, retention: None, warnings: Vec::new() });
        }
        (None, None) => {
            let governed = Governed::Nothing;
            return Ok(Rule { governed, retention: None, warnings: Vec::new() });
        }
    };
    Ok(Rule {
        governed: Governed::Policy(id),
        retention: Some(Retention::read(definition)?),
        warnings: rules::warnings(definition)?,
    })
}

fn candidate(backup: &Backup, has_image: bool) -> Candidate {
    Candidate {
        id: backup.id,
        resource: backup.resource,
        created_at: backup.created_at,
        expired_at: backup.expired_at,
        is_automatic: backup.auto_trigger,
        state: match backup.state {
            BackupState::Available { .. } => Condition::Idle,
            BackupState::Error { .. } => Condition::Failed,
            _ => Condition::Busy,
        },
        has_image,
    }
}
