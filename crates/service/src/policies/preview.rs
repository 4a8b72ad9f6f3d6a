//! What the retention of a policy would do to a vault's backups now. Nothing is done by asking.

use std::collections::BTreeMap;

use cbr_db::{RetainedBackup, Tx};
use cbr_model::policy::definition::OperationDefinition;
use cbr_model::policy::retention::Retention;
use cbr_model::policy::schedule::Schedule;
use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::retention::RemoveReason;
use cbr_model::vault::Vault;
use cbr_model::{PolicyId, ProjectId, ResourceId, Timestamp, VaultId};

use super::refusal::PolicyRefusal;
use super::service::{Policies, existing};
use crate::error::db;
use crate::retention::{bound_policy, candidate};
use crate::rules::policy as rules;
use crate::rules::retention::forecast::forecast;
use crate::rules::retention::plan::{Governing, Verdict, plan};
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// Which backups, and under which rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PreviewRequest {
    /// Of this resource only.
    pub resource: Option<ResourceId>,
    /// As if this policy worked for the vault, instead of the one that does.
    pub policy: Option<PolicyId>,
    /// As if the policy, enabled, had this definition.
    pub definition: Option<OperationDefinition>,
    /// So many days are looked ahead, as if all runs took place as planned; 0: only what would happen now.
    pub days: u32,
    /// After this resource: the list goes on where the page before ended.
    pub after: Option<ResourceId>,
    /// Of at most so many resources; 0: as many as a page has.
    pub resources: u32,
}

/// The most resources a page has, and the default.
pub const PREVIEW_RESOURCES_MAX: u32 = 100;
/// The furthest that is looked ahead, in days.
pub const PREVIEW_DAYS_MAX: u32 = 400;

/// What would happen now.
#[derive(Clone, PartialEq, Debug)]
pub struct RetentionPreview {
    /// What the backups would be under.
    pub governed: Governed,
    /// What is possible and will not do what it seems to (POL-22).
    pub warnings: Vec<String>,
    /// The backups of the page's resources, newest first.
    pub backups: Vec<Previewed>,
    /// The last resource of the page, if there are more.
    pub more_after: Option<ResourceId>,
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
    pub backup: RetainedBackup,
    /// What happens to it now.
    pub verdict: Verdict,
    /// When it goes, within the days that were looked ahead, and by which rule.
    pub goes: Option<(Timestamp, RemoveReason)>,
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
        if request.days > PREVIEW_DAYS_MAX {
            let reason = format!("at most {PREVIEW_DAYS_MAX} days are looked ahead");
            return Err(Error::invalid("days", reason));
        }
        if request.resources > PREVIEW_RESOURCES_MAX {
            let reason = format!("at most {PREVIEW_RESOURCES_MAX} resources a page");
            return Err(Error::invalid("limit", reason));
        }
        let policy = if let Some(policy) = request.policy {
            Some(existing(&mut tx, project, policy).await?)
        } else {
            bound_policy(&mut tx, project, vault.id).await.map_err(db(doing))?
        };
        let rule = rule(policy, request.definition.as_ref())?;
        let limit = match request.resources {
            0 => PREVIEW_RESOURCES_MAX,
            limit => limit,
        };
        let resources = if let Some(resource) = request.resource {
            vec![resource]
        } else {
            let page = tx.retention().resources(vault.id, request.after, limit).await;
            page.map_err(db(doing))?
        };
        let is_full = request.resource.is_none() && resources.len() == limit as usize;
        let more_after = resources.last().copied().filter(|_| is_full);
        let mut backups = Vec::new();
        for resource in resources {
            let found = tx.retention().of_resource(vault.id, resource).await;
            look(&vault, &rule, request.days, tx.now(), found.map_err(db(doing))?, &mut backups);
        }
        backups.sort_by_key(|one| std::cmp::Reverse((one.backup.created_at, one.backup.id)));
        let Rule { governed, warnings, .. } = rule;
        Ok(RetentionPreview { governed, warnings, backups, more_after })
    }
}

/// What happens to the backups of one resource.
fn look(
    vault: &Vault,
    rule: &Rule,
    days: u32,
    now: Timestamp,
    found: Vec<RetainedBackup>,
    into: &mut Vec<Previewed>,
) {
    let candidates: Vec<_> = found.iter().map(|one| candidate(vault, one, now)).collect();
    let verdicts = plan(&candidates, rule.governing(), now);
    let ahead = if days == 0 {
        BTreeMap::new()
    } else {
        let until = now.plus_seconds(i64::from(days) * 24 * 60 * 60);
        forecast(&candidates, rule.governing(), rule.schedule.as_ref(), (now, until))
    };
    for (backup, verdict) in found.into_iter().zip(verdicts) {
        let goes = ahead.get(&backup.id).map(|going| (going.at, going.rule));
        into.push(Previewed { backup, verdict, goes });
    }
}

/// When the automatic backups of a vault that are made at `made` end (RET-20); none: not by time.
pub(crate) async fn end_of(
    tx: &mut Tx,
    project: ProjectId,
    vault: VaultId,
    made: Timestamp,
) -> Result<Option<Timestamp>> {
    match bound_policy(tx, project, vault).await.map_err(db("reading a vault's policy"))? {
        Some(policy) if policy.enabled => Ok(Retention::read(&policy.definition)?.expires_at(made)),
        _ => Ok(None),
    }
}

/// What the backups are looked at under.
struct Rule {
    governed: Governed,
    retention: Option<Retention>,
    /// When it runs; none: not at all.
    schedule: Option<Schedule>,
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
            return Ok(Rule { governed, retention: None, schedule: None, warnings: Vec::new() });
        }
        (None, None) => {
            let governed = Governed::Nothing;
            return Ok(Rule { governed, retention: None, schedule: None, warnings: Vec::new() });
        }
    };
    let schedule = policy.as_ref().map(|policy| Schedule::new(&policy.trigger, policy.created_at));
    Ok(Rule {
        schedule: schedule.transpose()?,
        governed: Governed::Policy(id),
        retention: Some(Retention::read(definition)?),
        warnings: rules::warnings(definition)?,
    })
}
