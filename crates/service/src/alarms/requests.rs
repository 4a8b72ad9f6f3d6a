//! What alarms are asked for, and what is shown of them.

use cbr_model::AlarmTemplateId;
use cbr_model::alarm::{AlarmRule, AlarmState, Condition, Watched, Window};
use cbr_model::topic::Topic;

/// An alarm that shall be.
#[derive(Clone, PartialEq, Debug)]
pub struct NewAlarm {
    /// What people call it; `None`: `alarm-` and four letters (MON-06).
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// What it watches.
    pub watched: Watched,
    /// When it raises an alarm; empty: as the template says.
    pub conditions: Vec<Condition>,
    /// A template to take the conditions from (MON-09).
    pub template: Option<AlarmTemplateId>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Whether anybody is told.
    pub notifies: bool,
    /// Names of topics that are told of an alarm.
    pub on_alarm: Vec<String>,
    /// Names of topics that are told of its end.
    pub on_recovery: Vec<String>,
    /// When somebody is told.
    pub window: Window,
    /// Enterprise project.
    pub enterprise_project: String,
}

/// What shall be different about an alarm. `None` stays.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AlarmChange {
    /// New name.
    pub name: Option<String>,
    /// New free text.
    pub description: Option<String>,
    /// New conditions.
    pub conditions: Option<Vec<Condition>>,
    /// Whether anybody is told.
    pub notifies: Option<bool>,
    /// Names of topics that are told of an alarm.
    pub on_alarm: Option<Vec<String>>,
    /// Names of topics that are told of its end.
    pub on_recovery: Option<Vec<String>>,
    /// When somebody is told.
    pub window: Option<Window>,
    /// The level of all conditions.
    pub level: Option<u8>,
}

/// A template that shall be.
#[derive(Clone, PartialEq, Debug)]
pub struct NewTemplate {
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// What rules made from it look at.
    pub conditions: Vec<Condition>,
}

/// An alarm as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct AlarmView {
    /// The rule.
    pub rule: AlarmRule,
    /// The worst of its states.
    pub state: AlarmState,
    /// The topics that it names and that are there.
    pub topics: Vec<Topic>,
}
