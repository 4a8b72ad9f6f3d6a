//! Telling somebody of an alarm, and writing it into its history.

use cbr_db::{DbError, Tx};
use cbr_model::alarm::{AlarmRecord, AlarmRule, AlarmState, RecordDetail};
use cbr_model::topic::Message;
use cbr_model::{AlarmRecordId, Timestamp, TopicId};

use crate::core::Core;
use crate::topics::{Told, tell};

/// How many are told, or why nobody is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Telling {
    pub(super) count: u32,
    pub(super) because: Option<String>,
}

/// Tells topics of a rule, unless it is not the time for it.
pub(super) async fn told_about(
    core: &Core,
    tx: &mut Tx,
    rule: &AlarmRule,
    topics: &[TopicId],
    message: &Message,
    because: Option<String>,
) -> Result<Telling, DbError> {
    let nobody = |why: String| Ok(Telling { count: 0, because: Some(why) });
    if let Some(why) = because {
        return nobody(why);
    }
    if !rule.notifies {
        return nobody("notifications of the rule are off".to_owned());
    }
    if topics.is_empty() {
        return nobody("the rule names no topic".to_owned());
    }
    if !rule.window.contains(tx.now()) {
        return nobody(format!("outside the time of notifications, {}", rule.window));
    }
    let Told { subscriptions, missing } = tell(core, tx, rule.project, topics, message).await?;
    if subscriptions == 0 {
        return nobody(if missing > 0 {
            "the topic is gone".to_owned()
        } else {
            "the topic has no confirmed subscription".to_owned()
        });
    }
    Ok(Telling { count: subscriptions, because: None })
}

/// A change of state that is to be written down.
pub(super) struct Change {
    /// Of something that is written down once, whoever does it; none: a new one.
    pub(super) id: Option<AlarmRecordId>,
    /// Place of the condition in the rule.
    pub(super) place: usize,
    pub(super) level: u8,
    pub(super) resource: String,
    pub(super) detail: RecordDetail,
    pub(super) at: Timestamp,
}

impl Change {
    pub(super) async fn record(
        self,
        core: &Core,
        tx: &mut Tx,
        rule: &AlarmRule,
        status: AlarmState,
        on_event: bool,
    ) -> Result<(), DbError> {
        let record = AlarmRecord {
            id: self.id.unwrap_or_else(|| AlarmRecordId::random(&*core.random)),
            project: rule.project,
            alarm: rule.id,
            alarm_name: rule.name.clone(),
            condition: self.place,
            resource: self.resource,
            status,
            level: self.level,
            on_event,
            detail: self.detail,
            at: self.at,
            ended_at: None,
        };
        metrics::counter!("cbr_alarm_changes_total", "state" => status.as_str()).increment(1);
        tx.alarm_records().insert(&record).await.map(drop)
    }
}
