//! What happens is written down in its transaction, and alarms and notices are made of it afterwards,
//! once (MON-08, MON-10).

use cbr_db::{DbError, Tx};
use cbr_model::alarm::{AlarmRule, AlarmState, Condition, RecordDetail, What};
use cbr_model::event::{CbrEvent, EventKind};
use cbr_model::vault::Vault;
use cbr_model::{AlarmRecordId, EventId, ProjectId, VaultId};
use uuid::Uuid;

use super::record::{Change, told_about};
use super::service::Alarms;
use super::text;
use crate::Result;
use crate::error::db;
use crate::topics::tell;

/// Events that are looked at in one go.
const PAGE: u32 = 50;
/// A rule tells of so many events within [`TOLD_SECONDS`]; of the others the history tells. When a
/// storage fails, every resource on it does.
const TOLD_MAX: u64 = 100;
const TOLD_SECONDS: i64 = 60 * 60;

/// Something that happens now. Whoever makes it happen raises it in the same transaction.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub(crate) project: ProjectId,
    pub(crate) kind: EventKind,
    pub(crate) vault: Option<VaultId>,
    pub(crate) resource: Option<String>,
    pub(crate) resource_name: String,
    pub(crate) detail: String,
}

impl NewEvent {
    /// About a vault.
    pub(crate) fn of_vault(kind: EventKind, vault: &Vault, detail: String) -> Self {
        Self {
            project: vault.project,
            kind,
            vault: Some(vault.id),
            resource: None,
            resource_name: vault.name.to_string(),
            detail,
        }
    }

    /// Writes it down. The same twice in a transaction is one.
    pub(crate) async fn raise(self, tx: &mut Tx) -> std::result::Result<(), DbError> {
        let about = self.resource.clone().or_else(|| self.vault.map(|id| id.to_string()));
        let name = format!("{} {:?} {}", self.kind.as_str(), about, tx.now().0);
        let event = CbrEvent {
            id: EventId::from_uuid(Uuid::new_v5(&self.project.as_uuid(), name.as_bytes())),
            project: self.project,
            kind: self.kind,
            vault: self.vault,
            resource: self.resource,
            resource_name: self.resource_name,
            detail: self.detail,
            at: tx.now(),
        };
        tx.events().insert(&event).await
    }
}

impl Alarms {
    /// Makes alarms and notices of what happened; says of how many events.
    pub async fn handle_events(&self) -> Result<u64> {
        let doing = "making alarms of events";
        let (mut count, mut after, mut failure) = (0, None, None);
        loop {
            let mut tx = self.core.db.read().await.map_err(db(doing))?;
            let open = tx.events().open(after.as_ref(), PAGE).await.map_err(db(doing))?;
            drop(tx);
            for event in &open {
                match self.handle_once(event).await {
                    Ok(is_first) => count += u64::from(is_first),
                    // It stays open, and in nobody's way.
                    Err(error) => failure = failure.or(Some(db(doing)(error))),
                }
            }
            let Some(last) = open.into_iter().last() else {
                return failure.map_or(Ok(count), Err);
            };
            after = Some(last);
        }
    }

    /// Makes of an event what follows from it, a transaction for each rule: of a rule that was done before
    /// a crash, or by another node, the record is there. Says whether nobody was faster.
    async fn handle_once(&self, event: &CbrEvent) -> std::result::Result<bool, DbError> {
        let mut tx = self.core.db.read().await?;
        let rules = tx.alarms().enabled_on_events(event.project).await?;
        drop(tx);
        let mut failure = None;
        for rule in rules.iter().filter(|rule| rule.watched.includes(event.vault)) {
            // One rule that cannot be followed keeps nobody else from being told.
            if let Err(error) = self.follow(rule, event).await {
                failure = failure.or(Some(error));
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut tx = self.core.db.begin().await?;
        if !tx.events().set_handled(event.id).await? {
            return Ok(false);
        }
        self.notice(&mut tx, event).await?;
        tx.commit().await?;
        self.core.wake();
        Ok(true)
    }

    /// What one rule makes of an event: a record for each of its conditions that is about it, and at most
    /// one message to whom it tells, of the most severe of them.
    pub(crate) async fn follow(
        &self,
        rule: &AlarmRule,
        event: &CbrEvent,
    ) -> std::result::Result<(), DbError> {
        if matching(rule, event).is_empty() {
            return Ok(());
        }
        let mut tx = self.core.db.begin().await?;
        // As it is now: it may have been changed or removed since it was listed.
        let now = tx.alarms().find(rule.project, rule.id).await?;
        let is_meant = |rule: &AlarmRule| rule.enabled && rule.watched.includes(event.vault);
        let Some(rule) = &now.filter(is_meant) else { return Ok(()) };
        let matching = matching(rule, event);
        if matching.is_empty() {
            return Ok(());
        }
        for (place, _) in &matching {
            // It was followed before; with other conditions, perhaps.
            if tx.alarm_records().exists(record_id(event, rule, *place)).await? {
                return Ok(());
            }
        }
        let mut is_told = false;
        for one in matching {
            let because = if is_told {
                Some("another condition of the rule has told it".to_owned())
            } else {
                silence(&mut tx, rule, one, event).await?
            };
            is_told |= self.raise(&mut tx, rule, one, event, because).await?;
        }
        tx.commit().await
    }

    /// Says whether somebody is told.
    async fn raise(
        &self,
        tx: &mut Tx,
        rule: &AlarmRule,
        (place, condition): (usize, &Condition),
        event: &CbrEvent,
        because: Option<String>,
    ) -> std::result::Result<bool, DbError> {
        let message = text::of_event(rule, condition, event);
        let told = told_about(&self.core, tx, rule, &rule.on_alarm, &message, because).await?;
        let is_told = told.count > 0;
        let detail = RecordDetail {
            resource_name: event.resource_name.clone(),
            dimensions: Vec::new(),
            condition: Some(condition.clone()),
            values: Vec::new(),
            text: event.detail.clone(),
            told: told.count,
            untold: told.because,
        };
        let (level, at, resource) = (condition.level, event.at, about(event));
        let id = Some(record_id(event, rule, place));
        let change = Change { id, place, level, resource, detail, at };
        change.record(&self.core, tx, rule, AlarmState::Alarm, true).await?;
        Ok(is_told)
    }

    /// MON-10: a notice about a vault whose notices are on, to the topics that take them.
    async fn notice(&self, tx: &mut Tx, event: &CbrEvent) -> std::result::Result<(), DbError> {
        if !matches!(event.kind, EventKind::VaultThreshold | EventKind::VaultFull) {
            return Ok(());
        }
        let Some(id) = event.vault else { return Ok(()) };
        let vault = tx.vaults().find(event.project, id).await?;
        if !vault.is_some_and(|vault| vault.smn_notify) {
            return Ok(());
        }
        let topics = tx.topics().for_notices(event.project).await?;
        let topics: Vec<_> = topics.iter().map(|topic| topic.id).collect();
        let message = text::notice(event);
        tell(&self.core, tx, event.project, &topics, &message).await.map(drop)
    }
}

/// The conditions of a rule that are about an event, with their places, the most severe first.
fn matching<'r>(rule: &'r AlarmRule, event: &CbrEvent) -> Vec<(usize, &'r Condition)> {
    let mut found: Vec<(usize, &Condition)> = rule.conditions.iter().enumerate().collect();
    found.retain(|(_, condition)| condition.what == What::Event(event.kind));
    found.sort_by_key(|(place, condition)| (condition.level, *place));
    found
}

/// The record of a rule's condition about an event: one, whoever writes it.
fn record_id(event: &CbrEvent, rule: &AlarmRule, place: usize) -> AlarmRecordId {
    let name = format!("{} {place}", rule.id);
    AlarmRecordId::from_uuid(Uuid::new_v5(&event.id.as_uuid(), name.as_bytes()))
}

/// What an event is about.
fn about(event: &CbrEvent) -> String {
    let vault = || event.vault.map(|id| id.to_string());
    event.resource.clone().or_else(vault).unwrap_or_default()
}

/// Why nobody is told of an event: the same was told so short a time ago that the condition's pause is not
/// over, or the rule has told of too many.
async fn silence(
    tx: &mut Tx,
    rule: &AlarmRule,
    (place, condition): (usize, &Condition),
    event: &CbrEvent,
) -> std::result::Result<Option<String>, DbError> {
    if condition.suppress > 0 {
        let since = event.at.plus_seconds(1 - i64::from(condition.suppress));
        let about = about(event);
        let of = Some((place, about.as_str()));
        if tx.alarm_records().told_since(rule.id, of, since).await? > 0 {
            return Ok(Some("it was told a short time ago".to_owned()));
        }
    }
    let since = event.at.plus_seconds(1 - TOLD_SECONDS);
    if tx.alarm_records().told_since(rule.id, None, since).await? >= TOLD_MAX {
        return Ok(Some(format!("the rule told of {TOLD_MAX} events within an hour")));
    }
    Ok(None)
}
