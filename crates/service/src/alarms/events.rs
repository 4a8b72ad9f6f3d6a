//! What happens is written down in its transaction, and alarms and notices are made of it afterwards,
//! once (MON-08, MON-10).

use cbr_db::{DbError, RecordFilter, Tx};
use cbr_model::alarm::{AlarmRule, AlarmState, Condition, RecordDetail, What};
use cbr_model::event::{CbrEvent, EventKind};
use cbr_model::query::Page;
use cbr_model::vault::Vault;
use cbr_model::{EventId, ProjectId, VaultId};
use uuid::Uuid;

use super::record::{Change, told_about};
use super::service::Alarms;
use super::text;
use crate::Result;
use crate::error::db;
use crate::topics::tell;

/// Events that are looked at in one go.
const PAGE: u32 = 50;

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

    /// Says whether no other node was faster.
    async fn handle_once(&self, event: &CbrEvent) -> std::result::Result<bool, DbError> {
        let mut tx = self.core.db.begin().await?;
        if !tx.events().set_handled(event.id).await? {
            return Ok(false);
        }
        self.handle(&mut tx, event).await?;
        tx.commit().await?;
        self.core.wake();
        Ok(true)
    }

    async fn handle(&self, tx: &mut Tx, event: &CbrEvent) -> std::result::Result<(), DbError> {
        for rule in tx.alarms().enabled_on_events(event.project).await? {
            if !rule.watched.includes(event.vault) {
                continue;
            }
            for (place, condition) in rule.conditions.iter().enumerate() {
                if condition.what == What::Event(event.kind) {
                    self.raise(tx, &rule, (place, condition), event).await?;
                }
            }
        }
        self.notice(tx, event).await
    }

    async fn raise(
        &self,
        tx: &mut Tx,
        rule: &AlarmRule,
        (place, condition): (usize, &Condition),
        event: &CbrEvent,
    ) -> std::result::Result<(), DbError> {
        let resource = event.resource.clone().or_else(|| event.vault.map(|id| id.to_string()));
        let resource = resource.unwrap_or_default();
        let is_repeated = is_repeated(tx, rule, (place, condition), &resource, event).await?;
        let message = text::of_event(rule, condition, event);
        let because = is_repeated.then(|| "it was told a short time ago".to_owned());
        let told = told_about(&self.core, tx, rule, &rule.on_alarm, &message, because).await?;
        let detail = RecordDetail {
            resource_name: event.resource_name.clone(),
            condition: Some(condition.clone()),
            values: Vec::new(),
            text: event.detail.clone(),
            told: told.count,
            untold: told.because,
        };
        let change = Change { place, level: condition.level, resource, detail, at: event.at };
        change.record(&self.core, tx, rule, AlarmState::Alarm, true).await
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

/// Whether the same was told so short a time ago that the condition's pause is not over.
async fn is_repeated(
    tx: &mut Tx,
    rule: &AlarmRule,
    (place, condition): (usize, &Condition),
    resource: &str,
    event: &CbrEvent,
) -> std::result::Result<bool, DbError> {
    if condition.suppress == 0 {
        return Ok(false);
    }
    let filter = RecordFilter {
        alarms: vec![rule.id],
        resource: Some(resource.to_owned()),
        on_event: Some(true),
        from: Some(event.at.plus_seconds(1 - i64::from(condition.suppress))),
        ..RecordFilter::default()
    };
    let page = Page { limit: 100, ..Page::default() };
    let known = tx.alarm_records().list(rule.project, &filter, &page).await?;
    Ok(known.rows.iter().any(|record| record.condition == place && record.detail.told > 0))
}
