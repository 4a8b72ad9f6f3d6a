//! Why something about images was refused.

use cbr_model::size::Gib;
use cbr_model::{BackupId, ImageId, ResourceId, VaultId};

/// Why something about images was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Absent, or another project's.
    #[error("image {0} does not exist")]
    NotFound(ImageId),
    /// IMG-05: only a whole server's backup makes an image.
    #[error("backup {backup} is of one disk; an image is made of a whole server's backup")]
    NotOfServer {
        /// The backup.
        backup: BackupId,
    },
    /// IMG-02.
    #[error("a backup that is {status} does not make an image; it must be available")]
    BackupStatus {
        /// Its state.
        status: &'static str,
    },
    /// IMG-03.
    #[error("backup {0} does not contain the system disk, so no server could start from it")]
    WithoutSystemDisk(BackupId),
    /// IMG-05.
    #[error("image {image} was made of the backup already")]
    MadeAlready {
        /// It.
        image: ImageId,
    },
    /// IMG-10.
    #[error(
        "vault {vault} protects {bound} GB with a capacity of {capacity} GB; expand it before making images",
        bound = bound.0, capacity = capacity.0
    )]
    VaultOverbound {
        /// The vault.
        vault: VaultId,
        /// Size of what is bound to it.
        bound: Gib,
        /// Its capacity.
        capacity: Gib,
    },
    /// IMG-06, VLT-64, RES-18: what has an image is not deleted.
    #[error("backup {backup} has the image {image}; delete the image first")]
    BackupHeld {
        /// The backup.
        backup: BackupId,
        /// The image.
        image: ImageId,
    },
    /// SHR-14, VLT-65: another project's image holds the backup, or the share of it.
    #[error(
        "a project that backup {backup} is shared with made the image {image} of it; it must delete that first"
    )]
    HeldByRecipient {
        /// The backup.
        backup: BackupId,
        /// The image.
        image: ImageId,
    },
    /// It is protected.
    #[error("image {0} is protected; unprotect it first")]
    Protected(ImageId),
    /// A server is being made from it, or it is being made itself.
    #[error("image {image} is in use: {reason}")]
    InUse {
        /// It.
        image: ImageId,
        /// By what.
        reason: &'static str,
    },
    /// IMG-12: the server of a new image must be protected by the vault that is named.
    #[error("the backup of server {0} for the image was not started")]
    NotBackedUp(ResourceId),
}
