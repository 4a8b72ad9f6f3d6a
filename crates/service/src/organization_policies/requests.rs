//! What is asked of organization policies.

use cbr_model::policy::PolicyOperation;
use cbr_model::policy::definition::OperationDefinition;

use crate::policies::{NewTrigger, TriggerChange};

/// An organization policy to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewOrganizationPolicy {
    /// 1 to 64 characters.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Free text about whom it is for.
    pub effective_scope: Option<String>,
    /// What the copies do.
    pub operation: PolicyOperation,
    /// Whether the copies do anything.
    pub policy_enabled: bool,
    /// The name of the copies (POL-08).
    pub policy_name: String,
    /// When the copies run.
    pub trigger: NewTrigger,
    /// What the copies do in particular.
    pub definition: OperationDefinition,
}

/// A change of an organization policy; `None` leaves as it is (contract C48).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrganizationPolicyChange {
    /// 1 to 64 characters.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free text about whom it is for.
    pub effective_scope: Option<String>,
    /// Whether the copies do anything.
    pub policy_enabled: Option<bool>,
    /// The name of the copies.
    pub policy_name: Option<String>,
    /// When the copies run.
    pub trigger: Option<TriggerChange>,
    /// Takes the place of the whole definition.
    pub definition: Option<OperationDefinition>,
}
