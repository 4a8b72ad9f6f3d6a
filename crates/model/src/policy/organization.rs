//! Organization policies: one policy for every project of an account (contract C45 to C50).
//!
//! ```text
//!   create, change ──▶ Syncing ── a sweep writes a copy in every project ──▶ Available
//! ```

use uuid::Uuid;

use super::definition::OperationDefinition;
use super::{Policy, PolicyOperation, PolicyOrigin, Trigger};
use crate::Timestamp;
use crate::id::{DomainId, OrganizationPolicyId, PolicyId, ProjectId, TriggerId};
use crate::name::Name;
use crate::operation::words;

/// The longest `effective_scope`, in characters.
pub const SCOPE_CHARS_MAX: usize = 255;

words! {
    /// How far an organization policy is (contract B.8).
    OrganizationPolicyStatus {
        /// Not every project has its present form.
        Syncing = "syncing",
        /// Every project has it.
        Available = "available",
    }
}

/// A policy for every project of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrganizationPolicy {
    /// Its id.
    pub id: OrganizationPolicyId,
    /// The account.
    pub domain: DomainId,
    /// Its name: any text.
    pub name: String,
    /// Free text, or none.
    pub description: Option<String>,
    /// Free text about whom it is for, or none.
    pub effective_scope: Option<String>,
    /// What the copies do; never changes.
    pub operation: PolicyOperation,
    /// Whether the copies do anything.
    pub policy_enabled: bool,
    /// The name of the copies.
    pub policy_name: Name,
    /// When the copies run.
    pub trigger: Trigger,
    /// What the copies do in particular.
    pub definition: OperationDefinition,
    /// How far it is.
    pub status: OrganizationPolicyStatus,
    /// When it was created. The copies' intervals of days count from that day, in every project alike.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl OrganizationPolicy {
    /// The id of the copy in a project: always the same, so that a copy is never made twice.
    pub fn copy_id(&self, project: ProjectId) -> PolicyId {
        PolicyId::from_uuid(self.derived(project, b"policy"))
    }

    /// The copy in a project, bound to nothing.
    pub fn copy_in(&self, project: ProjectId) -> Policy {
        Policy {
            id: self.copy_id(project),
            project,
            name: self.policy_name.clone(),
            enabled: self.policy_enabled,
            operation: self.operation,
            origin: PolicyOrigin::Organization,
            organization: Some(self.id),
            trigger_id: TriggerId::from_uuid(self.derived(project, b"trigger")),
            trigger: self.trigger.clone(),
            definition: self.definition.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            vaults: Vec::new(),
        }
    }

    fn derived(&self, project: ProjectId, what: &[u8]) -> Uuid {
        let name = [project.as_uuid().as_bytes().as_slice(), what].concat();
        Uuid::new_v5(&self.id.as_uuid(), &name)
    }
}
