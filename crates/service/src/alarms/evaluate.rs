//! Deciding alarms on metrics, once for each slot (MON-08).

use std::collections::HashMap;

use cbr_db::{DbError, KnownState, Tx};
use cbr_model::AlarmId;
use cbr_model::alarm::{AlarmRule, AlarmState, Condition, RecordDetail, decide, is_told_again};
use cbr_model::metric::{NAMESPACE, slot_at};

use super::record::{Change, Telling, told_about};
use super::service::Alarms;
use super::text::{self, Told};
use super::watched::{Thing, things};
use crate::Result;
use crate::error::db;

/// Rules that are read in one go.
const RULES: u32 = 50;
/// Decisions of one transaction: others want to write as well.
const DECISIONS: usize = 50;
/// What is published comes when whoever publishes it has the time: a slot is decided so many seconds after
/// it is over.
const PUBLISHED_LATE_SECONDS: i64 = 120;

/// What is to be decided.
#[derive(Debug)]
struct Due<'a> {
    place: usize,
    condition: &'a Condition,
    thing: Thing,
    before: Option<(AlarmState, Option<i64>)>,
}

impl Alarms {
    /// Decides every enabled rule on metrics for a slot, where nobody has; says how many decisions were
    /// made. To be called when every vault has been measured in that slot. Rules on what is published are
    /// decided for the last slot that is over.
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
                let slot = self.slot_of(rule, slot);
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
        let things = things(&mut tx, rule, &known).await?;
        drop(tx);
        let due = due(rule, things, &known, slot);
        let mut count = 0;
        for some in due.chunks(DECISIONS) {
            // What was measured does not change any more, and others want to write meanwhile.
            let mut values = Vec::with_capacity(some.len());
            let mut tx = self.core.db.read().await.map_err(db(doing))?;
            for one in some {
                let of_one = one.thing.values(&mut tx, rule.project, one.condition, slot).await;
                values.push(of_one.map_err(db(doing))?);
            }
            drop(tx);
            let mut tx = self.core.db.begin().await.map_err(db(doing))?;
            // It may have been changed or removed meanwhile; then it is looked at next time.
            let now = tx.alarms().find(rule.project, rule.id).await.map_err(db(doing))?;
            if now.is_none_or(|now| now != *rule) {
                return Ok(count);
            }
            for (one, values) in some.iter().zip(values) {
                let is_first = self.decide(&mut tx, rule, one, values, slot).await;
                count += u64::from(is_first.map_err(db(doing))?);
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
        due: &Due<'_>,
        values: Vec<Option<f64>>,
        slot: i64,
    ) -> std::result::Result<bool, DbError> {
        let Due { place, condition, thing, before } = due;
        let place = *place;
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
        let resource = thing.resource();
        let mut known = KnownState { condition: place, resource, state: next, slot, told_slot };
        if !tx.alarms().decide(rule.id, &known).await? {
            return Ok(false);
        }
        let is_recovery = next == AlarmState::Ok && told.is_some();
        let is_news = next != state && (before.is_some() || next == AlarmState::Alarm);
        if !is_news && !is_again && !is_recovery {
            return Ok(true);
        }
        let name = thing.name(tx, rule.project).await?;
        let about = Told { rule, condition, thing, name: &name, values: &values };
        let telling = if next == AlarmState::Alarm {
            let message = text::of_metric(&about, false);
            let telling = told_about(&self.core, tx, rule, &rule.on_alarm, &message, None).await?;
            if telling.count == 0 {
                known.told_slot = told;
                tx.alarms().set_told(rule.id, &known).await?;
            }
            telling
        } else if is_recovery {
            let message = text::of_metric(&about, true);
            told_about(&self.core, tx, rule, &rule.on_recovery, &message, None).await?
        } else {
            Telling::default()
        };
        if is_news {
            let detail = RecordDetail {
                resource_name: name,
                dimensions: thing.dimensions(),
                condition: Some((*condition).clone()),
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

    /// The slot that a rule is decided for: vaults are measured as a slot begins, and what is published
    /// comes until after it is over.
    fn slot_of(&self, rule: &AlarmRule, slot: i64) -> i64 {
        if rule.namespace() == NAMESPACE {
            return slot;
        }
        slot_at(self.core.clock.now().plus_seconds(-PUBLISHED_LATE_SECONDS)) - 1
    }

    fn is_decided(&self, rule: &AlarmRule, slot: i64) -> bool {
        self.decided().get(&rule.id).is_some_and(|known| *known == (slot, rule.updated_at))
    }

    /// So that rules are not looked at again every few seconds; nothing depends on it.
    fn note_decided(&self, rule: &AlarmRule, slot: i64) {
        let mut decided = self.decided();
        // Rules on what is published are up to two slots behind the others.
        decided.retain(|_, (known, _)| *known >= slot - 2);
        decided.insert(rule.id, (slot, rule.updated_at));
    }
}

/// Each condition for each thing, where the slot is not decided yet.
fn due<'a>(
    rule: &'a AlarmRule,
    things: Vec<Vec<Thing>>,
    known: &[KnownState],
    slot: i64,
) -> Vec<Due<'a>> {
    let known: HashMap<(usize, &str), &KnownState> =
        known.iter().map(|one| ((one.condition, one.resource.as_str()), one)).collect();
    let mut due = Vec::new();
    for (place, (condition, things)) in rule.conditions.iter().zip(things).enumerate() {
        for thing in things {
            let before = known.get(&(place, thing.resource().as_str())).copied();
            if before.is_some_and(|before| before.slot >= slot) {
                continue;
            }
            let before = before.map(|before| (before.state, before.told_slot));
            due.push(Due { place, condition, thing, before });
        }
    }
    due
}
