//! Policies: when a vault's resources are backed up, and how long the backups are kept.
//!
//! ```text
//!   Policy ── trigger ──▶ patterns (pattern) ──▶ all runs (schedule)
//!     │
//!     │                          └──▶ what became of each of them (run)
//!     └── operation definition, as it was sent (definition) ──▶ Retention, checked (retention)
//!   OrganizationPolicy ── a copy in every project of the account ──▶ Policy (organization)
//! ```

pub mod definition;
mod invalid;
pub mod organization;
pub mod pattern;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod zone;

use crate::Timestamp;
use crate::id::{OrganizationPolicyId, PolicyId, ProjectId, TriggerId, VaultId};
use crate::name::Name;
use crate::operation::words;
use definition::OperationDefinition;
use zone::PolicyZone;

pub use invalid::InvalidPolicy;

/// The most policies of one operation type that a project makes, and an account for all its
/// projects (POL-01, contract A.9).
pub const POLICIES_MAX: usize = 32;
/// The shortest and the longest window over which starts are spread, in minutes.
pub const START_WINDOW_MINUTES: std::ops::RangeInclusive<i64> = 60..=480;

words! {
    /// What a policy does (contract `operation_type`).
    PolicyOperation {
        /// Backs up.
        Backup = "backup",
        /// Copies backups to another region.
        Replication = "replication",
    }
}

words! {
    /// Where a policy comes from (contract `policy_type`, B.8).
    PolicyOrigin {
        /// Somebody made it in this project.
        Custom = "custom_policy",
        /// It is the copy of an organization policy, and changes with it.
        Organization = "organization_policy_v1",
        /// It was the copy of an organization policy that is gone (contract C49).
        OrganizationRemoved = "organization_policy_removed",
    }
}

/// When it runs, as somebody wrote it. [`schedule::Schedule`] reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trigger {
    /// Byte for byte as they were sent.
    pub patterns: Vec<String>,
    /// The starts of a run's backups are spread over so many minutes; none: they start at once.
    pub start_window_minutes: Option<u32>,
    /// Where the times of the patterns are told (POL-10); the contract has UTC only.
    pub zone: PolicyZone,
}

/// A policy with the vaults it works for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Its name; need not be unique.
    pub name: Name,
    /// Whether it does anything (POL-05).
    pub enabled: bool,
    /// What it does; never changes.
    pub operation: PolicyOperation,
    /// Where it comes from.
    pub origin: PolicyOrigin,
    /// The organization policy it is a copy of.
    pub organization: Option<OrganizationPolicyId>,
    /// Id of its trigger, for those who want one.
    pub trigger_id: TriggerId,
    /// When it runs.
    pub trigger: Trigger,
    /// What it does in particular, as it was sent.
    pub definition: OperationDefinition,
    /// When it was created. Intervals of days count from that day (POL-16).
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// In the order in which it was bound to them.
    pub vaults: Vec<AssociatedVault>,
}

/// A vault a policy works for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssociatedVault {
    /// The vault.
    pub vault: VaultId,
    /// Where the replicas go; replication policies only.
    pub destination: Option<VaultId>,
}
