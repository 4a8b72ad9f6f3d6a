//! Codes that are kept with a task or a checkpoint: why something failed or was left out.
//!
//! An operation log shows the code of the time it was written, so the word is
//! stored; refusals of a request get theirs from the API.

/// Why a task failed, or a resource was left out (contract D).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Code {
    /// The target is smaller than the backup.
    TargetTooSmall,
    /// A restore of the resource runs.
    RestoreRunning,
    /// The disk's state does not allow a restore.
    VolumeNotRestorable,
    /// The vault does not allow backups now.
    VaultStatus,
    /// The vault is full.
    VaultFull,
    /// The disk is in a vault that is not shown.
    VolumeInOtherVault,
    /// The server is in a vault that is not shown.
    ServerInOtherVault,
    /// The vault cannot be changed.
    VaultNotEditable,
    /// The vault's state does not allow the operation.
    VaultForbids,
    /// The vault to which something shall go has no room for it.
    DestinationFull,
    /// The vault to which something shall go is not there.
    DestinationNotFound,
    /// A backup of the resource runs.
    BackupRunning,
    /// The vault to which something shall go is not for database backups.
    NotForDatabases,
    /// The resource is being taken out.
    ResourceRemoving,
    /// Some backups of a vault or resource cannot be deleted.
    BackupsNotDeletable,
    /// The backup is gone.
    BackupNotFound,
    /// No image came to be.
    ImageFailed,
    /// The resource's state does not allow a backup.
    ResourceStatus,
    /// The disk is gone.
    VolumeNotFound,
    /// The disk's state does not allow a backup.
    VolumeStatus,
    /// The server is gone.
    ServerNotFound,
    /// The server's state does not allow a backup.
    ServerStatus,
    /// The server shares too many disks with others.
    TooManySharedDisks,
    /// The server has no disk.
    ServerWithoutDisk,
    /// No agent in the server does what is needed (DBS-16).
    AgentNotFound,
    /// What lies in a bucket cannot be taken in.
    ImageUnusable,
    /// Anything else; the reason tells.
    Unknown,
}

impl Code {
    /// The contract's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TargetTooSmall => "BackupService.2001",
            Self::RestoreRunning => "BackupService.2010",
            Self::VolumeNotRestorable => "BackupService.2011",
            Self::VolumeInOtherVault => "BackupService.7006",
            Self::ServerInOtherVault => "BackupService.7116",
            Self::VaultNotEditable => "BackupService.6110",
            Self::VaultForbids => "BackupService.6112",
            Self::VaultStatus => "BackupService.6113",
            Self::VaultFull => "BackupService.6114",
            Self::BackupsNotDeletable => "BackupService.6115",
            Self::DestinationNotFound => "BackupService.6120",
            Self::BackupRunning => "BackupService.6125",
            Self::NotForDatabases => "BackupService.6126",
            Self::DestinationFull => "BackupService.6129",
            Self::ResourceRemoving => "BackupService.6134",
            Self::BackupNotFound => "BackupService.6200",
            Self::ImageFailed => "BackupService.6212",
            Self::ResourceStatus => "BackupService.6215",
            Self::VolumeNotFound => "BackupService.7000",
            Self::VolumeStatus => "BackupService.7003",
            Self::ServerNotFound => "BackupService.7100",
            Self::ServerStatus => "BackupService.7101",
            Self::TooManySharedDisks => "BackupService.7107",
            Self::ServerWithoutDisk => "BackupService.7108",
            Self::ImageUnusable => "BackupService.7300",
            Self::AgentNotFound => "BackupService.7410",
            Self::Unknown => "BackupService.9910",
        }
    }
}
