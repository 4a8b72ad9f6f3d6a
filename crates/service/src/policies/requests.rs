//! What is asked of policies.

use cbr_model::policy::PolicyOperation;
use cbr_model::policy::definition::OperationDefinition;

/// A policy to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPolicy {
    /// POL-08.
    pub name: String,
    /// Whether it does anything.
    pub enabled: bool,
    /// What it does.
    pub operation: PolicyOperation,
    /// When it runs.
    pub trigger: NewTrigger,
    /// What it does in particular.
    pub definition: OperationDefinition,
}

/// When a policy to be made runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTrigger {
    /// 1 to 24 patterns (contract B.9).
    pub patterns: Vec<String>,
    /// 60 to 480, or none.
    pub start_window_minutes: Option<i64>,
    /// The zone of the tz database in which the times are told; none: UTC (POL-10).
    pub zone: Option<String>,
}

/// A change of a policy; `None` leaves as it is (contract C43).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyChange {
    /// POL-08.
    pub name: Option<String>,
    /// Whether it does anything.
    pub enabled: Option<bool>,
    /// When it runs.
    pub trigger: Option<TriggerChange>,
    /// Takes the place of the whole definition.
    pub definition: Option<OperationDefinition>,
}

/// A change of when a policy runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TriggerChange {
    /// Take the place of all patterns.
    pub patterns: Vec<String>,
    /// What becomes of the window.
    pub start_window: WindowChange,
    /// The zone in which the times are told; none: it stays as it is.
    pub zone: Option<String>,
}

/// What becomes of the window over which starts are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WindowChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none any more.
    Off,
    /// So many minutes, 60 to 480.
    Minutes(i64),
}
