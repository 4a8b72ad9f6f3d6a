//! Why nothing is taken in.

use cbr_model::vault::VaultKind;
use cbr_model::{BackupId, TaskId, VaultId};
use cbr_provider::BucketError;

/// Why nothing is taken in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nowhere to put it (contract C33).
    #[error("the project has no file vault to take backups in; create one first")]
    NoFileVault,
    /// Only file vaults are synchronised (contract C26).
    #[error("vault {vault} is a {} vault; only file vaults are synchronised with buckets", kind.as_str())]
    VaultNotHybrid {
        /// The vault.
        vault: VaultId,
        /// What it is.
        kind: VaultKind,
    },
    /// There is nothing to look into (contract C26).
    #[error("the project has no bucket; the operator of the service assigns one")]
    NoBucket,
    /// One at a time (contract C26).
    #[error("vault {vault} is being synchronised already, by task {task}; wait until it has ended")]
    SyncRunning {
        /// The vault.
        vault: VaultId,
        /// The task.
        task: TaskId,
    },
    /// A backup has it: whose, is not told.
    #[error(
        "backup id {0} is taken by another backup; if it is in your trash, take it back or purge it, else give \
         another id"
    )]
    BackupIdTaken(BackupId),
    /// Absent, or not the project's: the two look alike.
    #[error("bucket_name: bucket `{0}` does not exist, or you may not use it")]
    BucketUnknown(String),
    /// What is there cannot be taken in, or nothing is there.
    #[error("image_path: {0}")]
    Image(#[source] BucketError),
    /// The place does not answer.
    #[error("bucket `{bucket}` cannot be read now; try again later")]
    BucketUnreachable {
        /// Its name.
        bucket: String,
        /// What the place said.
        #[source]
        source: BucketError,
    },
}

impl ImportError {
    /// Whether asking again later may help, without anybody changing anything.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::BucketUnreachable { .. })
    }
}
