//! The sweep that finds what is due.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::{DueBinding, Tx};
use cbr_model::Timestamp;
use cbr_model::event::EventKind;
use cbr_model::policy::Policy;
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::vault::Vault;
use tokio_util::sync::CancellationToken;

use super::plan::{row, schedule};
use crate::alarms::NewEvent;
use crate::core::Core;
use crate::error::{chain, db};
use crate::rules::occurrences::{self, Due};
use crate::{Error, Result, policies, vaults};

/// How often is looked at least: a policy that was bound meanwhile may be due before the one that is
/// waited for.
const EVERY: Duration = Duration::from_mins(1);
/// What cannot be started yet is tried again after this time.
const AGAIN: Duration = Duration::from_secs(20);
/// So many bindings are looked at in one query.
const BATCH: u32 = 256;
/// Of so many rounds, one looks for what is planned too late: a clock of another node may have run
/// ahead.
const AHEAD_ROUNDS: u64 = 60;
/// How long occurrences can be seen.
const HISTORY_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Policies at work.
#[derive(Debug)]
pub struct Schedules {
    pub(super) core: Arc<Core>,
}

impl Schedules {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Starts what is due, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut before = self.core.clock.now();
        for round in 0_u64.. {
            let now = self.core.clock.now();
            if round % AHEAD_ROUNDS == 0 || now < before {
                report("plans", self.replan_ahead().await);
                report("old runs", self.forget_old().await);
            }
            before = now;
            report("policies", self.sweep().await);
            let pause = self.pause().await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.core.clock.sleep(pause) => {}
            }
        }
    }

    /// How long nothing is due.
    async fn pause(&self) -> Duration {
        let first = async { self.core.db.read().await?.schedules().first().await };
        match first.await {
            Ok(Some(first)) => {
                let micros = first.micros_since(self.core.clock.now());
                match u64::try_from(micros) {
                    Ok(micros) if micros > 0 => Duration::from_micros(micros).min(EVERY),
                    _ => AGAIN,
                }
            }
            Ok(None) => EVERY,
            // The sweep has reported it.
            Err(_) => AGAIN,
        }
    }

    /// Decides about everything that is due; says about how many occurrences.
    pub async fn sweep(&self) -> Result<u64> {
        let (mut count, mut after, mut failure) = (0, None, None);
        loop {
            let now = self.core.clock.now();
            let mut tx = self.core.db.read().await.map_err(db("looking for due policies"))?;
            let due = tx.schedules().due(now, after.as_ref(), BATCH).await;
            let due = due.map_err(db("looking for due policies"))?;
            drop(tx);
            for binding in &due {
                match self.decide(binding).await {
                    Ok(decided) => count += decided,
                    // One that cannot be started is in nobody's way.
                    Err(error) => {
                        if let Err(error) = self.try_again(binding, &error).await {
                            failure = failure.or(Some(error));
                        }
                    }
                }
            }
            if due.len() < BATCH as usize {
                break;
            }
            after = due.last().copied();
        }
        if count > 0 {
            self.core.wake();
        }
        failure.map_or(Ok(count), Err)
    }

    /// Decides about what is due of one policy for one vault.
    async fn decide(&self, binding: &DueBinding) -> Result<u64> {
        let mut tx = self.core.db.read().await.map_err(db("reading a policy"))?;
        let now = tx.now();
        let policy = policies::existing(&mut tx, binding.project, binding.policy).await?;
        let vault = vaults::existing(&mut tx, binding.project, binding.vault).await?;
        drop(tx);
        let schedule = schedule(&policy)?;
        let Some(first) = binding.next_run_at else {
            // Bound by an older version: it begins now.
            let mut tx = self.core.db.begin().await.map_err(db("planning a policy"))?;
            if is_current(&mut tx, binding).await? {
                plan(&mut tx, binding, schedule.next(now)).await?;
                tx.commit().await.map_err(db("planning a policy"))?;
            }
            return Ok(0);
        };
        let due = occurrences::due(&schedule, &policy.trigger, first, now);
        let Some(live) = due.live.filter(|_| policy.enabled) else {
            return self.skip_all(binding, &policy, &vault, &due).await;
        };
        self.start(binding, vault, live, &due).await
    }

    /// Nothing is to be started: all of it was missed, or the policy is switched off.
    async fn skip_all(
        &self,
        binding: &DueBinding,
        policy: &Policy,
        vault: &Vault,
        due: &Due,
    ) -> Result<u64> {
        let mut tx = self.core.db.begin().await.map_err(db("noting occurrences"))?;
        let policy = policies::existing(&mut tx, policy.project, policy.id).await?;
        // Switched on or off meanwhile: the next round looks again.
        if !is_current(&mut tx, binding).await? || (policy.enabled && due.live.is_some()) {
            return Ok(0);
        }
        let mut count = note_missed(&mut tx, &policy, vault, &due.missed).await?;
        if let Some(live) = due.live {
            let run = switched_off(row(&policy, vault, live, RunState::Refused, &tx));
            count += note(&mut tx, run).await?;
        }
        plan(&mut tx, binding, due.next).await?;
        tx.commit().await.map_err(db("noting occurrences"))?;
        Ok(count)
    }

    /// Writes down that an occurrence could not be started yet. It stays due.
    async fn try_again(&self, binding: &DueBinding, error: &Error) -> Result<()> {
        let reason = chain(error);
        tracing::warn!(
            policy.id = %binding.policy, vault.id = %binding.vault, reason,
            "a policy could not be started, again later"
        );
        let doing = "noting an occurrence";
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        let now = tx.now();
        let policy =
            tx.policies().find(binding.project, binding.policy).await.map_err(db(doing))?;
        let vault = tx.vaults().find(binding.project, binding.vault).await.map_err(db(doing))?;
        let (Some(policy), Some(vault), Some(first)) = (policy, vault, binding.next_run_at) else {
            return Ok(());
        };
        let Ok(schedule) = schedule(&policy) else { return Ok(()) };
        let due = occurrences::due(&schedule, &policy.trigger, first, now);
        let Some(live) = due.live.filter(|_| policy.enabled) else { return Ok(()) };
        if !is_current(&mut tx, binding).await? {
            return Ok(());
        }
        let reason_word = RunReason::NotPossible;
        let waiting = row(&policy, &vault, live, RunState::Waiting, &tx);
        note(&mut tx, PolicyRun { reason: reason_word, message: reason, ..waiting }).await?;
        tx.commit().await.map_err(db(doing))
    }

    /// Forgets occurrences that are too old to be shown; says how many.
    pub async fn forget_old(&self) -> Result<u64> {
        let doing = "forgetting old runs";
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        let before = tx.now().plus_seconds(-HISTORY_SECONDS);
        let count = tx.policy_runs().delete_before(before).await.map_err(db(doing))?;
        tx.commit().await.map_err(db(doing))?;
        Ok(count)
    }
}

/// Whether nobody has decided about it since it was read.
pub(super) async fn is_current(tx: &mut Tx, binding: &DueBinding) -> Result<bool> {
    let planned = tx.schedules().next_run_at(binding.vault, binding.policy).await;
    Ok(planned.map_err(db("reading a plan"))? == Some(binding.next_run_at))
}

pub(super) async fn plan(tx: &mut Tx, binding: &DueBinding, next: Option<Timestamp>) -> Result<()> {
    // At the end of time: never again.
    let next = next.or(Some(Timestamp(i64::MAX)));
    let planned = tx.schedules().plan(binding.policy, Some(binding.vault), next).await;
    planned.map(drop).map_err(db("planning a policy"))
}

/// Writes a row down; says (0 or 1) whether it was not decided before.
pub(super) async fn note(tx: &mut Tx, run: PolicyRun) -> Result<u64> {
    let is_new = tx.policy_runs().decide(&run).await.map_err(db("noting an occurrence"))?;
    if !is_new {
        return Ok(0);
    }
    let is_for_people = match run.state {
        RunState::Missed => true,
        RunState::Refused => matches!(run.reason, RunReason::VaultFull | RunReason::VaultStatus),
        RunState::Waiting | RunState::Started | RunState::Skipped => false,
    };
    if is_for_people {
        let event = NewEvent {
            project: run.project,
            kind: EventKind::RunMissed,
            vault: Some(run.vault),
            resource: Some(run.policy.to_string()),
            resource_name: run.policy_name.clone(),
            detail: run.message.clone(),
        };
        event.raise(tx).await.map_err(db("noting an occurrence"))?;
    }
    if run.state != RunState::Waiting {
        metrics::counter!("cbr_policy_runs_total", "state" => run.state.as_str()).increment(1);
        tracing::info!(
            policy.id = %run.policy, vault.id = %run.vault, occurrence = run.occurrence.seconds(),
            state = run.state.as_str(), reason = run.reason.as_str(), run.message,
            "an occurrence of a policy"
        );
    }
    Ok(1)
}

/// Writes down occurrences whose time is over.
pub(super) async fn note_missed(
    tx: &mut Tx,
    policy: &Policy,
    vault: &Vault,
    missed: &[Timestamp],
) -> Result<u64> {
    let mut count = 0;
    for at in missed {
        let run = row(policy, vault, *at, RunState::Missed, tx);
        if !policy.enabled {
            count += note(tx, switched_off(PolicyRun { state: RunState::Refused, ..run })).await?;
            continue;
        }
        let tried = tx.policy_runs().find(&run).await.map_err(db("reading an occurrence"))?;
        let tried = tried.filter(|tried| tried.state == RunState::Waiting);
        let (reason, message) = match tried {
            Some(tried) => (RunReason::NotPossible, tried.message),
            None => (
                RunReason::NoNode,
                "no node was up to start it, or the clock went past it".to_owned(),
            ),
        };
        count += note(tx, PolicyRun { reason, message, ..run }).await?;
    }
    Ok(count)
}

fn switched_off(run: PolicyRun) -> PolicyRun {
    let message = "the policy is switched off".to_owned();
    PolicyRun { reason: RunReason::PolicyDisabled, message, ..run }
}

fn report(what: &'static str, result: Result<u64>) {
    match result {
        Ok(0) => {}
        Ok(count) => tracing::info!(what, count, "scheduled"),
        Err(error) => {
            tracing::warn!(what, error = &error as &dyn std::error::Error, "scheduling failed");
        }
    }
}
