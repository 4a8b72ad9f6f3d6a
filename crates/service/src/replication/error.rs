//! Why nothing is copied and nothing taken in.

use cbr_model::vault::VaultKind;
use cbr_model::{ProjectId, VaultId};

/// Why nothing is copied and nothing taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// No copies go to that region.
    #[error("nothing can be copied to region `{region}`: this region has no partners")]
    ReplicaRegion {
        /// The region.
        region: String,
    },
    /// Absent, barred, or not the caller's.
    #[error("nothing can be copied to project {0}: it does not exist, or you may not use it")]
    ReplicaProject(ProjectId),
    /// Not in that project.
    #[error("destination vault {0} does not exist in the destination project")]
    DestinationVaultNotFound(VaultId),
    /// REP-01: it is there, and for backups.
    #[error("vault {0} takes no copies: it is a vault for backups, not for replication")]
    DestinationVaultRefused(VaultId),
    /// REP-07: not of this kind.
    #[error("the backup cannot be copied: {reason}")]
    NotReplicable {
        /// Why not.
        reason: &'static str,
    },
    /// REP-07: not in this state.
    #[error("a backup that is {status} cannot be copied")]
    BackupNotReplicable {
        /// Its state.
        status: &'static str,
    },
    /// REP-07: not of this kind.
    #[error("a {} vault cannot be copied; only server vaults can", kind.as_str())]
    VaultNotReplicable {
        /// The vault's kind.
        kind: VaultKind,
    },
    /// REP-07: nothing in the vault qualifies.
    #[error(
        "the vault holds no available server backup with a system disk: nothing is to be copied"
    )]
    NothingToReplicate,
}
