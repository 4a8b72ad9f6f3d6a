//! The start of what is due: a run over a vault, with its row, in one transaction.

use std::collections::BTreeSet;

use cbr_db::{DueBinding, Tx};
use cbr_model::audit::Event;
use cbr_model::checkpoint::{Checkpoint, SkippedResource};
use cbr_model::policy::Policy;
use cbr_model::policy::retention::Retention;
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::vault::{Vault, VaultUse};
use cbr_model::{CheckpointId, ResourceId, Timestamp};

use super::plan::row;
use super::service::{Schedules, is_current, note, note_missed, plan};
use crate::audit::Subject;
use crate::checkpoints::run::{Due as RunDue, FullBackups, Run};
use crate::error::db;
use crate::resources::Native;
use crate::rules::fulls::{FullRule, Kind};
use crate::rules::names;
use crate::rules::occurrences::Due;
use crate::rules::retention::FOR_EVER;
use crate::rules::selection::{self, Selection, Taken};
use crate::tasks::backup as task;
use crate::tasks::order::Origin;
use crate::{Error, Result, policies, vaults};

/// What a started run is recorded as.
const STARTED: Event = Event::new("executePolicy", "vault");

/// What the provider says about the resources of a vault.
type Seen = Vec<(ResourceId, Option<Native>)>;

/// A policy and a vault it works for.
struct Bound {
    policy: Policy,
    vault: Vault,
}

/// What becomes of the occurrence.
enum Fate {
    Start(Selection),
    Skip(Vec<SkippedResource>),
    Refuse(RunReason, String),
}

impl Schedules {
    /// Starts the run that is due at `live`, writes down what was missed before, plans the next one;
    /// says how many occurrences were decided. All of it, or nothing.
    pub(super) async fn start(
        &self,
        binding: &DueBinding,
        vault: Vault,
        live: Timestamp,
        due: &Due,
    ) -> Result<u64> {
        let seen = self.look(vault).await?;
        let doing = "starting a policy";
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        if !is_current(&mut tx, binding).await? {
            return Ok(0);
        }
        let policy = policies::existing(&mut tx, binding.project, binding.policy).await?;
        let vault = vaults::existing(&mut tx, binding.project, binding.vault).await?;
        // Switched off meanwhile: the next round looks again.
        if !policy.enabled {
            return Ok(0);
        }
        let mut count = note_missed(&mut tx, &policy, &vault, &due.missed).await?;
        let run = row(&policy, &vault, live, RunState::Refused, &tx);
        let bound = Bound { policy, vault };
        let run = match fate(&bound.vault, &seen)? {
            Fate::Refuse(reason, message) => PolicyRun { reason, message, ..run },
            Fate::Skip(skipped) => self.skip(&mut tx, &bound, run, &skipped).await?,
            Fate::Start(selection) => {
                let decided = self.begin(&mut tx, &bound, run, selection, &seen).await?;
                let Some(run) = decided else {
                    // It was started before a clock was set back.
                    tx.rollback().await.map_err(db(doing))?;
                    return self.pass_over(binding, &bound, due).await;
                };
                let subject = Subject::new(bound.vault.id, &bound.vault.name);
                self.core.record_by_system(&mut tx, binding.project, STARTED, subject).await?;
                run
            }
        };
        count += note(&mut tx, run).await?;
        plan(&mut tx, binding, due.next).await?;
        tx.commit().await.map_err(db(doing))?;
        Ok(count)
    }

    /// The occurrence has been decided already: only what was missed is written down, and the next one
    /// planned.
    async fn pass_over(&self, binding: &DueBinding, bound: &Bound, due: &Due) -> Result<u64> {
        let mut tx = self.core.db.begin().await.map_err(db("planning a policy"))?;
        if !is_current(&mut tx, binding).await? {
            return Ok(0);
        }
        let count = note_missed(&mut tx, &bound.policy, &bound.vault, &due.missed).await?;
        plan(&mut tx, binding, due.next).await?;
        tx.commit().await.map_err(db("planning a policy"))?;
        Ok(count)
    }

    /// Asks the provider, without holding a transaction.
    async fn look(&self, mut vault: Vault) -> Result<Seen> {
        if !vault.status.allows(VaultUse::Backup) {
            return Ok(Vec::new());
        }
        if vault.auto_bind && vault.status.allows(VaultUse::Bind) {
            vaults::bind_unprotected(&self.core, &vault).await?;
            let mut tx = self.core.db.read().await.map_err(db("starting a policy"))?;
            vault = vaults::existing(&mut tx, vault.project, vault.id).await?;
        }
        self.core.resources.look(vault.project, &selection::chosen(&vault, &[], true)?).await
    }

    /// Starts the backups; none: somebody has, or has decided otherwise.
    async fn begin(
        &self,
        tx: &mut Tx,
        bound: &Bound,
        run: PolicyRun,
        selection: Selection,
        seen: &Seen,
    ) -> Result<Option<PolicyRun>> {
        let Bound { policy, vault } = bound;
        let before = tx.policy_runs().find(&run).await.map_err(db("reading an occurrence"))?;
        let is_open = |state| matches!(state, RunState::Waiting | RunState::Missed);
        if before.is_some_and(|before| !is_open(before.state)) {
            return Ok(None);
        }
        let retention = Retention::read(&policy.definition)?;
        let rule = FullRule {
            interval: policy.definition.full_interval()?,
            base: retention.base,
            zone: policy.trigger.zone,
        };
        let (fulls, message) = fulls(tx, rule, &selection.taken, run.occurrence).await?;
        let base = names::automatic_backup_name(&vault.backup_name_prefix, &*self.core.random);
        let checkpoint = Checkpoint {
            id: CheckpointId::random(&*self.core.random),
            project: policy.project,
            vault: vault.id,
            name: base.to_string(),
            description: String::new(),
            retention_days: FOR_EVER,
            created_at: tx.now(),
            skipped: Vec::new(),
        };
        let id = checkpoint.id;
        let run = PolicyRun {
            state: RunState::Started,
            message,
            checkpoint: Some(id),
            started: count(selection.taken.len()),
            skipped: count(selection.skipped.len()),
            full: count(fulls.len()),
            ..run
        };
        let window_minutes = policy.trigger.start_window_minutes;
        let of_policy = Run {
            origin: Origin::policy(policy.project, Some(policy.id)),
            expired_at: retention.expires_at(checkpoint.created_at),
            checkpoint,
            base,
            fulls: FullBackups::Of(fulls),
            is_automatic: true,
            due: Some(RunDue { at: run.occurrence, window_minutes }),
        };
        drop(of_policy.start(&self.core, tx, vault, selection, seen).await?);
        Ok(Some(run))
    }

    /// Writes a log for each resource that was left out (TSK-08).
    async fn skip(
        &self,
        tx: &mut Tx,
        bound: &Bound,
        run: PolicyRun,
        skipped: &[SkippedResource],
    ) -> Result<PolicyRun> {
        let Bound { policy, vault } = bound;
        let origin = Origin::policy(policy.project, Some(policy.id));
        for left_out in skipped {
            let (log, error) = task::left_out(&self.core, origin, vault, left_out, tx.now());
            let added = tx.tasks().insert_skipped(&log, &error).await;
            added.map_err(db("adding an operation log"))?;
        }
        let message = match skipped {
            [] => "the vault holds nothing that automatic backups take".to_owned(),
            [one] => format!("{}: {}", one.name, one.reason),
            [one, ..] => format!("all {} resources; {}: {}", skipped.len(), one.name, one.reason),
        };
        let reason = match skipped {
            [] => RunReason::VaultEmpty,
            _ => RunReason::NothingToBackUp,
        };
        let skipped = count(skipped.len());
        Ok(PolicyRun { state: RunState::Skipped, reason, message, skipped, ..run })
    }
}

/// What becomes of it, from the vault and what the provider says.
fn fate(vault: &Vault, seen: &Seen) -> Result<Fate> {
    match selection::check_vault(vault) {
        Ok(()) => {}
        Err(error @ Error::VaultFull { .. }) => {
            return Ok(Fate::Refuse(RunReason::VaultFull, error.to_string()));
        }
        Err(error) => return Ok(Fate::Refuse(RunReason::VaultStatus, error.to_string())),
    }
    let mut meant = Vec::new();
    for bound in selection::chosen(vault, &[], true)? {
        // Bound since the provider was asked: its turn is next time.
        let Some((_, native)) = seen.iter().find(|(id, _)| *id == bound.id) else { continue };
        meant.push((bound, native.as_ref().map(Native::candidate)));
    }
    match selection::select(meant, &[]) {
        Ok(selection) => Ok(Fate::Start(selection)),
        Err(Error::NothingToBackUp { skipped }) => Ok(Fate::Skip(skipped)),
        Err(error) => Err(error),
    }
}

/// Which of them are to be full backups, and which would be and are put off, in words.
async fn fulls(
    tx: &mut Tx,
    rule: FullRule,
    taken: &[Taken],
    at: Timestamp,
) -> Result<(BTreeSet<ResourceId>, String)> {
    let (mut full, mut put_off) = (BTreeSet::new(), Vec::new());
    for Taken { bound, candidate, .. } in taken {
        if bound.backup_count == 0 {
            continue;
        }
        let known = tx.schedules().fulls(bound.chain).await;
        match rule.kind(known.map_err(db("reading about full backups"))?, at) {
            Kind::Incremental => {}
            Kind::Full => {
                full.insert(bound.id);
            }
            Kind::PutOff => put_off.push(candidate.name.clone()),
        }
    }
    let message = match put_off.as_slice() {
        [] => String::new(),
        [first, others @ ..] => {
            let more = if others.is_empty() { "" } else { " and others" };
            format!(
                "a full backup of {first}{more} is due and was put off: the last one is less than \
                 a day old"
            )
        }
    };
    Ok((full, message))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
