//! Deciding alarms on metrics, once for each slot (MON-08).

use std::collections::HashMap;

use cbr_db::{DbError, KnownState, Tx};
use cbr_model::alarm::{
    AlarmRule, AlarmState, Condition, RecordDetail, Watched, decide, is_told_again, needed, recent,
};
use cbr_model::{AlarmId, VaultId};

use super::record::{Change, Telling, told_about};
use super::service::Alarms;
use super::text;
use crate::Result;
use crate::error::db;
use crate::monitoring::all_vaults;

/// Rules that are read in one go.
const RULES: u32 = 50;
/// Decisions of one transaction: others want to write as well.
const DECISIONS: usize = 50;
/// Most rows that one decision reads: five days of quarters.
const ROWS_MAX: u32 = 500;

/// What is to be decided.
#[derive(Clone, Copy)]
struct Due<'a> {
    place: usize,
    condition: &'a Condition,
    vault: VaultId,
    before: Option<(AlarmState, Option<i64>)>,
}

impl Alarms {
    /// Decides every enabled rule on metrics for a slot, where nobody has; says how many decisions were
    /// made. To be called when every vault has been measured in that slot.
    pub async fn evaluate(&self, slot: i64) -> Result<u64> {
        let doing = "deciding alarms";
        let (mut after, mut count): (Option<AlarmId>, u64) = (None, 0);
        let mut failure = None;
        loop {
            let mut tx = self.core.db.read().await.map_err(db(doing))?;
            let rules = tx.alarms().enabled_on_metrics(after, RULES).await.map_err(db(doing))?;
            drop(tx);
            let Some(last) = rules.last() else { return failure.map_or(Ok(count), Err) };
            after = Some(last.id);
            for rule in &rules {
                if self.is_decided(rule, slot) {
                    continue;
                }
                match self.evaluate_rule(rule, slot).await {
                    Ok(decisions) => {
                        count += decisions;
                        self.note_decided(rule, slot);
                    }
                    // One rule that cannot be decided keeps nobody else from being told.
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
    }

    async fn evaluate_rule(&self, rule: &AlarmRule, slot: i64) -> Result<u64> {
        let doing = "deciding an alarm";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let known = tx.alarms().states(rule.id).await.map_err(db(doing))?;
        let vaults = match &rule.watched {
            Watched::Vaults(vaults) => vaults.clone(),
            Watched::All => all_vaults(&mut tx, rule.project).await?,
        };
        drop(tx);
        let due = due(rule, &vaults, &known, slot);
        let mut count = 0;
        for some in due.chunks(DECISIONS) {
            let mut tx = self.core.db.begin().await.map_err(db(doing))?;
            // It may have been changed or removed meanwhile; then it is looked at next time.
            let now = tx.alarms().find(rule.project, rule.id).await.map_err(db(doing))?;
            if now.is_none_or(|now| now != *rule) {
                return Ok(count);
            }
            for one in some {
                let is_first = self.decide(&mut tx, rule, *one, slot).await.map_err(db(doing))?;
                count += u64::from(is_first);
            }
            tx.commit().await.map_err(db(doing))?;
            self.core.wake();
        }
        Ok(count)
    }

    async fn decide(
        &self,
        tx: &mut Tx,
        rule: &AlarmRule,
        due: Due<'_>,
        slot: i64,
    ) -> std::result::Result<bool, DbError> {
        let Due { place, condition, vault, before } = due;
        let (width, from, to) = needed(condition, slot);
        let owner = (rule.project, vault);
        let points = tx.vault_points().list(owner, width, (from, to), ROWS_MAX).await?;
        let values = recent(condition, &points, slot);
        let (state, told) = before.unwrap_or((AlarmState::InsufficientData, None));
        let next = decide(condition, state, &values);
        // What nobody was told of yet, for one because it was not the time for it, is tried again.
        let is_again =
            next == AlarmState::Alarm && (told.is_none() || is_told_again(condition, slot, told));
        let told_slot = match next {
            AlarmState::Alarm if state != next || is_again => Some(slot),
            AlarmState::Ok => None,
            // An alarm that is not decided any more is still one that somebody was told of.
            AlarmState::Alarm | AlarmState::InsufficientData => told,
        };
        let resource = vault.to_string();
        let mut known = KnownState { condition: place, resource, state: next, slot, told_slot };
        if !tx.alarms().decide(rule.id, &known).await? {
            return Ok(false);
        }
        let is_recovery = next == AlarmState::Ok && told.is_some();
        let is_news = next != state && (before.is_some() || next == AlarmState::Alarm);
        if !is_news && !is_again && !is_recovery {
            return Ok(true);
        }
        let name = tx.vaults().find(rule.project, vault).await?.map(|vault| vault.name.to_string());
        let name = name.unwrap_or_else(|| vault.to_string());
        let telling = if next == AlarmState::Alarm {
            let message = text::of_metric(rule, condition, (vault, &name), &values, false);
            let telling = told_about(&self.core, tx, rule, &rule.on_alarm, &message, None).await?;
            if telling.count == 0 {
                known.told_slot = told;
                tx.alarms().set_told(rule.id, &known).await?;
            }
            telling
        } else if is_recovery {
            let message = text::of_metric(rule, condition, (vault, &name), &values, true);
            told_about(&self.core, tx, rule, &rule.on_recovery, &message, None).await?
        } else {
            Telling::default()
        };
        if is_news {
            let detail = RecordDetail {
                resource_name: name,
                condition: Some(condition.clone()),
                values,
                text: String::new(),
                told: telling.count,
                untold: telling.because,
            };
            let (level, resource, at) = (condition.level, known.resource, tx.now());
            let change = Change { id: None, place, level, resource, detail, at };
            change.record(&self.core, tx, rule, next, false).await?;
        }
        Ok(true)
    }

    fn is_decided(&self, rule: &AlarmRule, slot: i64) -> bool {
        self.decided().get(&rule.id).is_some_and(|known| *known == (slot, rule.updated_at))
    }

    /// So that rules are not looked at again every few seconds; nothing depends on it.
    fn note_decided(&self, rule: &AlarmRule, slot: i64) {
        let mut decided = self.decided();
        decided.retain(|_, (known, _)| *known == slot);
        decided.insert(rule.id, (slot, rule.updated_at));
    }
}

/// Each condition for each vault, where the slot is not decided yet.
fn due<'a>(
    rule: &'a AlarmRule,
    vaults: &[VaultId],
    known: &[KnownState],
    slot: i64,
) -> Vec<Due<'a>> {
    let known: HashMap<(usize, &str), &KnownState> =
        known.iter().map(|one| ((one.condition, one.resource.as_str()), one)).collect();
    let mut due = Vec::new();
    for (place, condition) in rule.conditions.iter().enumerate() {
        for vault in vaults {
            let before = known.get(&(place, vault.to_string().as_str())).copied();
            if before.is_some_and(|before| before.slot >= slot) {
                continue;
            }
            let before = before.map(|before| (before.state, before.told_slot));
            due.push(Due { place, condition, vault: *vault, before });
        }
    }
    due
}
