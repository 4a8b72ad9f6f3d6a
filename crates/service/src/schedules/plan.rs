//! When a policy is next due is planned in the transaction that binds or changes it: between that and
//! the next sweep no occurrence is lost.

use cbr_db::Tx;
use cbr_model::VaultId;
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::policy::schedule::Schedule;
use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::vault::Vault;

use crate::Result;
use crate::error::db;

/// The schedule of a policy.
pub(crate) fn schedule(policy: &Policy) -> Result<Schedule> {
    Ok(Schedule::new(&policy.trigger, policy.created_at)?)
}

/// Plans a policy that has just been bound to a vault: its first run is the next one from now (POL-16).
pub(crate) async fn plan_bound(tx: &mut Tx, policy: &Policy, vault: VaultId) -> Result<()> {
    if policy.operation != PolicyOperation::Backup {
        return Ok(());
    }
    let next = schedule(policy)?.next(tx.now());
    let planned = tx.schedules().plan(policy.id, Some(vault), next).await;
    planned.map(drop).map_err(db("planning a policy"))
}

/// Plans a policy that has changed. What was due before the change and is not decided stays due.
pub(crate) async fn replan(tx: &mut Tx, policy: &Policy) -> Result<()> {
    if policy.operation != PolicyOperation::Backup {
        return Ok(());
    }
    let now = tx.now();
    let next = schedule(policy)?.next(now);
    for bound in &policy.vaults {
        let planned = tx.schedules().next_run_at(bound.vault, policy.id).await;
        let is_due =
            planned.map_err(db("planning a policy"))?.flatten().is_some_and(|at| at <= now);
        if !is_due {
            let planned = tx.schedules().plan(policy.id, Some(bound.vault), next).await;
            planned.map_err(db("planning a policy"))?;
        }
    }
    Ok(())
}

/// Before a policy is taken off a vault: what was due and had not had its turn will not be started,
/// and is written down as that.
pub(crate) async fn give_up(tx: &mut Tx, policy: &Policy, vault: &Vault) -> Result<()> {
    let planned = tx.schedules().next_run_at(vault.id, policy.id).await;
    let planned = planned.map_err(db("planning a policy"))?.flatten();
    let Some(occurrence) = planned.filter(|at| *at <= tx.now()) else { return Ok(()) };
    let message = "the policy was taken off the vault before its turn came".to_owned();
    let run = PolicyRun {
        reason: RunReason::Unbound,
        message,
        ..row(policy, vault, occurrence, RunState::Refused, tx)
    };
    tx.policy_runs().decide(&run).await.map(drop).map_err(db("noting an occurrence"))
}

/// The row of an occurrence, with nothing else said about it.
pub(super) fn row(
    policy: &Policy,
    vault: &Vault,
    occurrence: cbr_model::Timestamp,
    state: RunState,
    tx: &Tx,
) -> PolicyRun {
    PolicyRun {
        policy: policy.id,
        vault: vault.id,
        occurrence,
        project: policy.project,
        policy_name: policy.name.to_string(),
        vault_name: vault.name.to_string(),
        state,
        reason: RunReason::None,
        message: String::new(),
        checkpoint: None,
        started: 0,
        skipped: 0,
        full: 0,
        decided_at: tx.now(),
    }
}
