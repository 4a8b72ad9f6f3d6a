//! Why something is not possible with a policy.

use cbr_model::{OrganizationPolicyId, PolicyId, ProjectId, VaultId};

/// Why something is not possible with a policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyRefusal {
    /// Absent, or another project's.
    #[error("policy {0} does not exist")]
    NotFound(PolicyId),
    /// Absent, or another account's.
    #[error("organization policy {0} does not exist")]
    OrganizationNotFound(OrganizationPolicyId),
    /// POL-01.
    #[error("there are {limit} {operation} policies already; delete one that is not needed")]
    TooMany {
        /// The limit.
        limit: usize,
        /// What they do.
        operation: &'static str,
    },
    /// It does not work for the vault.
    #[error("policy {policy} is not bound to vault {vault}")]
    NotBound {
        /// The policy.
        policy: PolicyId,
        /// The vault.
        vault: VaultId,
    },
    /// Vaults know where it sends their replicas.
    #[error("policy {policy} is bound to vaults; unbind it before its destination changes")]
    DestinationFixed {
        /// The policy.
        policy: PolicyId,
    },
    /// It is changed for the whole account only.
    #[error("policy {policy} belongs to organization policy {organization}; change that one")]
    Managed {
        /// The policy.
        policy: PolicyId,
        /// What it is a copy of.
        organization: OrganizationPolicyId,
    },
    /// A backup policy is needed here.
    #[error("policy {policy} is a {operation} policy; a backup policy is needed")]
    NotApplicable {
        /// The policy.
        policy: PolicyId,
        /// What it does.
        operation: &'static str,
    },
    /// REP-07: backups of disks are not replicated.
    #[error("the backups of vault {0} are backups of disks, and those are not replicated")]
    NotReplicable(VaultId),
    /// This service knows no other region.
    #[error("region {region} with project {project} cannot be reached from here")]
    DestinationUnknown {
        /// The region.
        region: String,
        /// The project there.
        project: ProjectId,
    },
}
