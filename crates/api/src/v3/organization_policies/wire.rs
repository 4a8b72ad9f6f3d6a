//! An organization policy on the wire (contract C.M `OrganizationPolicy`).

use cbr_model::identity::Domain;
use cbr_model::policy::organization as model;
use serde::Serialize;
use utoipa::ToSchema;

use crate::v3::policies::definition::Definition;
use crate::v3::policies::wire::TriggerCreate;

/// A policy of a whole account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationPolicy {
    id: String,
    name: String,
    description: Option<String>,
    effective_scope: Option<String>,
    /// 32 hexadecimal digits.
    domain_id: String,
    domain_name: String,
    /// `backup` or `replication`.
    operation_type: &'static str,
    /// Of the copies.
    policy_name: String,
    policy_enabled: bool,
    policy_operation_definition: Definition,
    policy_trigger: TriggerCreate,
    /// `syncing` until every project has its present form, then `available`.
    status: &'static str,
}

impl OrganizationPolicy {
    /// A policy of this account.
    pub(super) fn new(policy: model::OrganizationPolicy, domain: &Domain) -> Self {
        Self {
            id: policy.id.to_string(),
            name: policy.name,
            description: policy.description,
            effective_scope: policy.effective_scope,
            domain_id: policy.domain.to_string(),
            domain_name: domain.name.clone(),
            operation_type: policy.operation.as_str(),
            policy_name: policy.policy_name.to_string(),
            policy_enabled: policy.policy_enabled,
            policy_operation_definition: policy.definition.into(),
            policy_trigger: policy.trigger.into(),
            status: policy.status.as_str(),
        }
    }
}
