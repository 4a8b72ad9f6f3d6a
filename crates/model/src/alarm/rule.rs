//! A rule with its conditions, what it watches, and who is told; its templates and its history.

use serde::{Deserialize, Serialize};

use super::condition::{Condition, What};
use super::decide::AlarmState;
use super::window::Window;
use crate::Timestamp;
use crate::custom_metric::MetricDimension;
use crate::id::{AlarmId, AlarmRecordId, AlarmTemplateId, ProjectId, TopicId, VaultId};
use crate::metric::NAMESPACE;

/// Most conditions of a rule (contract F.6).
pub const ALARM_CONDITIONS_MAX: usize = 50;
/// Most vaults, or things, that one rule names (MON-09).
pub const ALARM_RESOURCES_MAX: usize = 500;

/// What a rule watches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// These vaults, as they were named. One that is gone has no data.
    Vaults(Vec<VaultId>),
    /// Every vault the project has; of metrics of its own every thing that it publishes them of.
    All,
    /// Metrics of its own of these things: the dimensions of each, in order.
    Things(Vec<Vec<MetricDimension>>),
}

impl Watched {
    /// Whether a vault is among them; what belongs to no vault concerns rules for all.
    pub fn includes(&self, vault: Option<VaultId>) -> bool {
        match self {
            Self::All => true,
            Self::Vaults(vaults) => vault.is_some_and(|vault| vaults.contains(&vault)),
            Self::Things(_) => false,
        }
    }
}

/// An alarm rule.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlarmRule {
    /// Its id.
    pub id: AlarmId,
    /// Its project.
    pub project: ProjectId,
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What it watches.
    pub watched: Watched,
    /// When it raises an alarm: each by itself.
    pub conditions: Vec<Condition>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Whether anybody is told.
    pub notifies: bool,
    /// Who is told that there is an alarm.
    pub on_alarm: Vec<TopicId>,
    /// Who is told that it is over.
    pub on_recovery: Vec<TopicId>,
    /// When somebody is told.
    pub window: Window,
    /// Enterprise project, for show.
    pub enterprise_project: String,
    /// The template it was made from.
    pub template: Option<AlarmTemplateId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl AlarmRule {
    /// Whether it is about events; a rule is about events or about metrics.
    pub fn is_on_events(&self) -> bool {
        is_on_events(&self.conditions)
    }

    /// The namespace of what it is about: the same for all its conditions.
    pub fn namespace(&self) -> &str {
        self.conditions.first().map_or(NAMESPACE, |first| first.what.namespace())
    }
}

/// Whether conditions are about events.
pub(crate) fn is_on_events(conditions: &[Condition]) -> bool {
    conditions.iter().any(|one| matches!(one.what, What::Event(_)))
}

/// Conditions under a name, to make rules from (MON-09).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlarmTemplate {
    /// Its id.
    pub id: AlarmTemplateId,
    /// Its project; `None`: it is built in.
    pub project: Option<ProjectId>,
    /// What people call it; one of a kind in the project.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What rules made from it look at.
    pub conditions: Vec<Condition>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AlarmTemplate {
    /// Whether it is about events.
    pub fn is_on_events(&self) -> bool {
        is_on_events(&self.conditions)
    }
}

/// A change of state of one condition for one thing.
#[derive(Clone, PartialEq, Debug)]
pub struct AlarmRecord {
    /// Its id.
    pub id: AlarmRecordId,
    /// The rule's project.
    pub project: ProjectId,
    /// The rule.
    pub alarm: AlarmId,
    /// What the rule was called then.
    pub alarm_name: String,
    /// Place of the condition in the rule.
    pub condition: usize,
    /// The vault, what an event was about, or [`thing_name`](crate::custom_metric::thing_name).
    pub resource: String,
    /// The state from then on.
    pub status: AlarmState,
    /// 1 to 4.
    pub level: u8,
    /// Whether it was an event.
    pub on_event: bool,
    /// What was seen and who was told.
    pub detail: RecordDetail,
    /// When.
    pub at: Timestamp,
    /// When an alarm was over.
    pub ended_at: Option<Timestamp>,
}

impl AlarmRecord {
    /// The namespace of what it is about.
    pub fn namespace(&self) -> &str {
        self.detail.condition.as_ref().map_or(NAMESPACE, |condition| condition.what.namespace())
    }
}

/// What was seen, and who was told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RecordDetail {
    /// What people call the vault or thing.
    pub resource_name: String,
    /// Of a metric of the project's own: what it is of.
    #[serde(default)]
    pub dimensions: Vec<MetricDimension>,
    /// The condition as it was.
    pub condition: Option<Condition>,
    /// The values that decided, oldest first.
    pub values: Vec<Option<f64>>,
    /// What an event said.
    pub text: String,
    /// How many subscriptions are told.
    pub told: u32,
    /// Why nobody is told, if so: in words for people.
    pub untold: Option<String>,
}
