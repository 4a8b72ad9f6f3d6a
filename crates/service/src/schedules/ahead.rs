//! What a clock that was set back makes to be planned again.
//!
//! What has been done is known by its row, so nothing is done twice.

use cbr_db::{DueBinding, Plans};
use cbr_model::Timestamp;
use cbr_model::policy::START_WINDOW_MINUTES;

use super::plan::schedule;
use super::service::{Schedules, is_current, plan};
use crate::Result;
use crate::error::{chain, db};
use crate::rules::occurrences;

const DOING: &str = "planning policies";

impl Schedules {
    /// Plans again what is planned later than it is due, and what was missed by a clock that had run
    /// ahead and can still be started. Says how many. A policy that cannot be read is in nobody's way.
    pub async fn replan_ahead(&self) -> Result<u64> {
        let mut tx = self.core.db.read().await.map_err(db(DOING))?;
        let now = tx.now();
        let plans = tx.schedules().all().await.map_err(db(DOING))?;
        let from = now.plus_seconds(-START_WINDOW_MINUTES.end() * 60);
        let missed = tx.policy_runs().missed_ahead(from, now).await.map_err(db(DOING))?;
        drop(tx);
        let (mut count, mut failure) = (0, None);
        let mut note = |result: Result<u64>| match result {
            Ok(planned) => count += planned,
            Err(error) => {
                tracing::warn!(reason = chain(&error), "a policy could not be planned");
                failure = failure.take().or(Some(error));
            }
        };
        for binding in &plans.bindings {
            note(self.replan_one(&plans, binding, now).await);
        }
        for run in missed {
            let is_its = |one: &&DueBinding| one.policy == run.policy && one.vault == run.vault;
            if let Some(binding) = plans.bindings.iter().find(is_its) {
                note(self.take_up(&plans, binding, run.occurrence).await);
            }
        }
        for error in plans.unreadable {
            note(Err(db(DOING)(error)));
        }
        failure.map_or(Ok(count), Err)
    }

    async fn replan_one(&self, plans: &Plans, binding: &DueBinding, now: Timestamp) -> Result<u64> {
        // One that cannot be read is told of once, not for each of its vaults.
        let Some(policy) = plans.policies.get(&binding.policy) else { return Ok(0) };
        let next = schedule(policy)?.next(now);
        if binding.next_run_at <= next || binding.next_run_at <= Some(now) {
            return Ok(0);
        }
        let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
        if !is_current(&mut tx, binding).await? {
            return Ok(0);
        }
        plan(&mut tx, binding, next).await?;
        tx.commit().await.map_err(db(DOING))?;
        Ok(1)
    }

    /// Plans an occurrence that was missed, if it is the one that would be started now.
    async fn take_up(&self, plans: &Plans, binding: &DueBinding, missed: Timestamp) -> Result<u64> {
        let Some(policy) = plans.policies.get(&binding.policy) else { return Ok(0) };
        let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
        let now = tx.now();
        if !occurrences::is_open(&schedule(policy)?, &policy.trigger, missed, now) {
            return Ok(0);
        }
        let planned = tx.schedules().next_run_at(binding.vault, binding.policy).await;
        // Something is due: it is looked at first, and this one with it.
        if planned.map_err(db(DOING))?.flatten().is_none_or(|at| at <= now) {
            return Ok(0);
        }
        plan(&mut tx, binding, Some(missed)).await?;
        tx.commit().await.map_err(db(DOING))?;
        Ok(1)
    }
}
