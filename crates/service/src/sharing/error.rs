//! Why something about shares was refused.

use cbr_model::resource::ResourceKind;
use cbr_model::size::Bytes;
use cbr_model::vault::{VaultKind, VaultStatus};
use cbr_model::{BackupId, ProjectId};

/// Why something about shares was refused.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// It is another project's, and shared with the caller: it may be read, and not changed (SHR-10).
    #[error("backup {0} is shared with you: you can make disks from it, and not change it")]
    BackupReceived(BackupId),
    /// SHR-10: nobody shares on what was shared.
    #[error("backup {0} is shared with you; only its owner shares it")]
    ShareNotPassedOn(BackupId),
    /// SHR-01.
    #[error("the backup cannot be shared: {reason}")]
    NotShareable {
        /// Why not.
        reason: &'static str,
    },
    /// SHR-03: who gets it could not read it without the owner's key, and that is not shared.
    #[error("backup {0} is of a disk that its owner encrypts, and cannot be shared")]
    BackupEncrypted(BackupId),
    /// SHR-13.
    #[error("a backup that is {status} cannot be shared")]
    BackupNotShareable {
        /// Its state.
        status: &'static str,
    },
    /// Y.1.
    #[error("the vault is {}; nothing is shared from it or accepted into it", status.as_str())]
    VaultStatusForbidsSharing {
        /// Its state.
        status: VaultStatus,
    },
    /// No such project, or none it can be shared with.
    #[error("the backup cannot be shared with project {project}: {reason}")]
    RecipientInvalid {
        /// The project.
        project: ProjectId,
        /// Why not.
        reason: &'static str,
    },
    /// Once is enough.
    #[error("the backup is shared with project {0} already")]
    SharedAlready(ProjectId),
    /// SHR-04.
    #[error("a backup is shared with at most {limit} projects")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
    /// It is not shared with that project, or not the caller's business.
    #[error("backup {backup} is not shared with project {project}")]
    MemberNotFound {
        /// The backup.
        backup: BackupId,
        /// The project.
        project: ProjectId,
    },
    /// The state of the offer or the caller does not allow it.
    #[error("the share cannot be changed: {reason}")]
    MemberNotChanged {
        /// Why not.
        reason: String,
    },
    /// SHR-07.
    #[error("a {} vault takes no backup of a {}", vault.as_str(), resource.as_str())]
    ShareKindMismatch {
        /// The vault's kind.
        vault: VaultKind,
        /// The backed-up resource's.
        resource: ResourceKind,
    },
    /// SHR-07.
    #[error(
        "the vault has {free} bytes left and must have more than {needed}, the size of the backup",
        free = free.0, needed = needed.0
    )]
    VaultLacksRoom {
        /// What the backup takes.
        needed: Bytes,
        /// What is left.
        free: Bytes,
    },
    /// SHR-11: a recipient is just making a disk from it.
    #[error("backup {0} is being read by a project it is shared with; delete it when that is done")]
    ShareInUse(BackupId),
}
