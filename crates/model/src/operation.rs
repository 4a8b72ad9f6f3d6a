//! Operation logs: what the API shows of a task (TSK-07, contract B.5).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::backup::AppConsistency;
use crate::id::{CheckpointId, PolicyId, ProjectId, ResourceId, TaskId, VaultId};
use crate::resource::ResourceKind;

/// An enum of the contract's words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// The contract's word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What the contract's word means.
            pub fn from_str_exact(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a task does for a person.
    OperationType {
        /// Makes a backup of one resource.
        Backup = "backup",
        /// Copies a backup inside the region.
        Copy = "copy",
        /// Copies a backup to another region.
        Replication = "replication",
        /// Deletes a backup.
        Delete = "delete",
        /// Restores a backup.
        Restore = "restore",
        /// Deletes a vault with its backups.
        VaultDelete = "vault_delete",
        /// Takes a resource out of a vault with its backups.
        RemoveResource = "remove_resource",
        /// Imports backups.
        Sync = "sync",
        /// Reads a backup to see whether it can be restored (extension).
        Verify = "verify",
        /// Takes a deleted backup back (extension).
        Undelete = "undelete",
        /// Gives a deleted backup up for good (extension).
        Purge = "purge",
        /// Moves a resource with its backups to another vault (TSK-07).
        Migrate = "migrate",
        /// Makes an image of a server (TSK-07).
        Image = "image",
        /// Changes until when backups are kept (extension).
        UpdateExpiration = "update_expiration_time",
        /// A vault grows by itself (VLT-73, VLT-76; extension).
        AutoExpand = "auto_expand",
    }
}

words! {
    /// How far a task is.
    OperationStatus {
        /// Not started.
        Waiting = "waiting",
        /// At work.
        Running = "running",
        /// Done.
        Success = "success",
        /// Ended without its result.
        Failed = "failed",
        /// Ended because it took too long.
        Timeout = "timeout",
        /// Never started, for the reason in the error.
        Skipped = "skipped",
    }
}

impl OperationStatus {
    /// Whether nothing will change any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// What the API shows of a task.
#[derive(Clone, PartialEq, Debug)]
pub struct OperationLog {
    /// The task's id.
    pub id: TaskId,
    /// Project of what it works on.
    pub project: ProjectId,
    /// What it does.
    pub operation: OperationType,
    /// How far it is.
    pub status: OperationStatus,
    /// 0 to 100; never runs backwards.
    pub progress: u8,
    /// Vault it belongs to.
    pub vault: Option<VaultId>,
    /// Name of that vault when the task was made.
    pub vault_name: Option<String>,
    /// What it works on.
    pub resource: Option<OperationResource>,
    /// The run it belongs to.
    pub checkpoint: Option<CheckpointId>,
    /// The policy that started it.
    pub policy: Option<PolicyId>,
    /// Id of the request that started it.
    pub request_id: String,
    /// Error code and message of a failed or skipped task.
    pub error: Option<OperationError>,
    /// Particulars of the operation.
    pub details: OperationDetails,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first step began.
    pub started_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// The resource a task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OperationResource {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ResourceKind,
}

/// Why a task failed or was skipped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OperationError {
    /// Contract code, e.g. `BackupService.6201`.
    pub code: String,
    /// For people: what, why, what next.
    pub message: String,
}

/// Particulars of an operation (`extra_info` of the contract), by kind.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OperationDetails {
    /// Nothing more to say.
    #[default]
    None,
    /// A backup.
    Backup {
        /// Its id.
        backup_id: String,
        /// Its name.
        backup_name: String,
        /// Whether it builds on an earlier one; unknown until it runs.
        incremental: Option<bool>,
        /// What came of the wish for a database backup; none: nobody had it, or it is not known yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app_consistency: Option<AppConsistency>,
    },
    /// The deletion of a backup, and what may follow it: taking it back, or giving it up.
    Delete {
        /// Its id.
        backup_id: String,
        /// Its name.
        backup_name: String,
    },
    /// A restore.
    Restore {
        /// What is restored.
        backup_id: String,
        /// Its name.
        backup_name: String,
        /// Where to.
        target_resource_id: String,
        /// Its name.
        target_resource_name: String,
    },
    /// The deletion of a vault.
    VaultDelete {
        /// Backups in it at the start.
        total: u64,
        /// Backups that could not be deleted.
        failed: u64,
    },
    /// Moving a resource to another vault.
    Migrate {
        /// Where to.
        destination_vault_id: String,
        /// Its name.
        destination_vault_name: String,
        /// How many backups go with it.
        backups: u64,
    },
    /// Changing until when the backups of a vault are kept.
    UpdateExpiration {
        /// How many.
        backups: u64,
        /// The day at whose end they expire, as the caller wrote it.
        day: String,
    },
    /// A vault that grows by itself.
    AutoExpand {
        /// Its capacity before, in GB.
        from_gb: u64,
        /// Its capacity afterwards, in GB; the same if it could not grow.
        to_gb: u64,
    },
    /// Taking in what lies in buckets.
    Sync {
        /// The backup, where it is about one.
        backup_id: Option<String>,
        /// Its name.
        backup_name: Option<String>,
        /// How many backups were taken in.
        taken_in: u64,
        /// How many could not be.
        failed: u64,
    },
    /// Taking a resource out of a vault.
    RemoveResource {
        /// Which.
        resource_id: String,
        /// How many backups went with it.
        backups: u64,
    },
}
