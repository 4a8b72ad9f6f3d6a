//! Alarms: rules over metrics and events, and what they decide (MON-06 … MON-09).

mod condition;
mod decide;
mod recent;
mod rule;
mod window;

pub use condition::{Comparison, Condition, InvalidCondition, What};
pub use decide::{AlarmState, decide, is_told_again};
pub use recent::{needed, needed_of_published, recent, recent_published};
pub use rule::{
    ALARM_CONDITIONS_MAX, ALARM_RESOURCES_MAX, AlarmRecord, AlarmRule, AlarmTemplate, RecordDetail,
    Watched,
};
pub use window::{InvalidWindow, Window};
