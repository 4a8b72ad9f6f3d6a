//! The one table of error codes (contract D).

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:ident, $wire:literal, $meaning:literal;)+) => {
        /// What kind of refusal or failure an answer reports.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Status and code on the wire.
            pub const fn wire(self) -> (StatusCode, &'static str) {
                match self { $(Self::$variant => (StatusCode::$status, $wire),)+ }
            }

            /// What it means, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

// Codes of the contract keep its numbers. `CBRX.` codes are ours, for what the contract has no word for.
#[rustfmt::skip]
codes! {
    // --- any operation
    InvalidParameter      = BAD_REQUEST,            "BackupService.9900", "a parameter or the body breaks a rule; the message names it";
    Unknown               = INTERNAL_SERVER_ERROR,  "BackupService.9910", "a fault of the service; the log has it under the request id";
    Forbidden             = FORBIDDEN,              "BackupService.0403", "the credential does not reach this project or action";
    Unauthenticated       = UNAUTHORIZED,           "APIG.0301",          "the credential is missing, wrong, expired or revoked";
    UnknownApi            = NOT_FOUND,              "APIG.0101",          "no operation has this path";
    MethodNotAllowed      = METHOD_NOT_ALLOWED,     "APIG.0106",          "the path has no operation with this method";
    TooManyRequests       = TOO_MANY_REQUESTS,      "APIG.0308",          "too much at once; try again in a moment";
    BodyTooLarge          = PAYLOAD_TOO_LARGE,      "APIG.0201",          "the body is larger than the service reads";
    BodyTooSlow           = REQUEST_TIMEOUT,        "APIG.0202",          "the body did not arrive in time";
    ProviderUnavailable   = SERVICE_UNAVAILABLE,    "CBRX.0001",          "where the resource lives does not answer; try again later";

    // --- vaults
    VaultNotFound         = NOT_FOUND,              "BackupService.6105", "the vault does not exist";
    VaultSizeInvalid      = BAD_REQUEST,            "BackupService.6101", "the capacity is out of range or too small for what the vault holds";
    VaultTypeUnsupported  = BAD_REQUEST,            "BackupService.6116", "the service does not offer vaults of this protection or resource type";
    VaultNotEditable      = BAD_REQUEST,            "BackupService.6110", "the vault cannot be changed in this way";
    VaultNotDeletable     = BAD_REQUEST,            "BackupService.6111", "the vault cannot be deleted";
    VaultStatus           = BAD_REQUEST,            "BackupService.6112", "the status of the vault does not allow the operation";
    VaultForbidsBackup    = BAD_REQUEST,            "BackupService.6113", "the status of the vault does not allow backups";
    VaultFull             = BAD_REQUEST,            "BackupService.6114", "the vault is full";
    VaultForbidsRestore   = BAD_REQUEST,            "BackupService.6202", "the status of the vault does not allow restores";
    VaultBusy             = BAD_REQUEST,            "BackupService.6203", "a task still works in the vault";
    OrderNotFound         = BAD_REQUEST,            "BackupService.6109", "the vault has no such order";
    VaultChanging         = BAD_REQUEST,            "BackupService.6123", "another change of the vault is under way";
    DestinationFull       = BAD_REQUEST,            "BackupService.6129", "the destination vault has no room for what shall come";
    NotForDatabases       = BAD_REQUEST,            "BackupService.6126", "the vault is not for database (application-consistent) backups";
    QuotaUsedUp           = BAD_REQUEST,            "BackupService.6133", "the project has as many vaults as its quota allows";
    TagNotFound           = NOT_FOUND,              "BackupService.6601", "the tag key does not exist";
    TooManyTags           = BAD_REQUEST,            "BackupService.6600", "the vault has too many tags";

    // --- policies
    PolicyNotFound        = NOT_FOUND,              "BackupService.6000", "the policy does not exist";
    TooManyPolicies       = BAD_REQUEST,            "BackupService.6001", "there are as many policies of this type as there may be";
    PolicyNotBound        = NOT_FOUND,              "BackupService.6002", "the policy is not bound to the vault: the binding does not exist";
    PolicyDestination     = BAD_REQUEST,            "BackupService.6003", "the policy is bound to a vault, so its destination cannot change";
    PolicyTypeUnknown     = BAD_REQUEST,            "BackupService.6117", "policies of this type do not exist";
    DestinationUnknown    = BAD_REQUEST,            "BackupService.6118", "the destination vault cannot be checked, because its region is not known here";
    PolicyNotApplicable   = BAD_REQUEST,            "BackupService.6127", "a policy of this type does not go with the vault";
    PolicyManaged         = CONFLICT,               "CBRX.0030",          "the policy is the copy of an organization policy and changes with that only";

    // --- resources
    TooManyResources      = BAD_REQUEST,            "BackupService.6100", "the vault has too many resources";
    VaultTakesNothing     = BAD_REQUEST,            "BackupService.6108", "this kind of vault takes no new resources yet";
    ResourceKindMismatch  = BAD_REQUEST,            "BackupService.6102", "the vault does not take this type of resource";
    ResourceInOtherVault  = BAD_REQUEST,            "BackupService.6103", "the resource is in another vault";
    ResourceRepeated      = BAD_REQUEST,            "BackupService.6104", "the request lists a resource twice";
    ResourceRemoving      = BAD_REQUEST,            "BackupService.6134", "the resource is being removed from the vault";
    ResourceNotInVault    = BAD_REQUEST,            "BackupService.6135", "the resource is not in the vault";
    ResourceNotFound      = NOT_FOUND,              "BackupService.6302", "the resource does not exist";
    ResourceStatus        = BAD_REQUEST,            "BackupService.6215", "the status of the resource does not allow backups";
    VolumeNotFound        = NOT_FOUND,              "BackupService.7000", "the disk does not exist";
    ServerNotFound        = NOT_FOUND,              "BackupService.7100", "the server does not exist";
    ServerWithoutDisk     = BAD_REQUEST,            "BackupService.7108", "the server has no disk";
    TooManySharedDisks    = BAD_REQUEST,            "BackupService.7107", "too many disks of the server are attached to other servers too";
    VolumeNotDeletable    = CONFLICT,               "CBRX.0002",          "the disk is attached or at work and cannot be deleted";
    ServerNotPowered      = CONFLICT,               "CBRX.0050",          "the operator's configuration has no commands that start and stop the server";
    ServerNotMade         = CONFLICT,               "CBRX.0051",          "the server is one of the operator's configuration, which cannot be changed or deleted here";
    ServerNotOff          = CONFLICT,               "CBRX.0052",          "the server is not off";
    VolumeNotMovable      = CONFLICT,               "CBRX.0053",          "the disk cannot be attached to the server, or detached from it";
    FileSystemsUnsupported = BAD_REQUEST,           "CBRX.0054",          "the installation has no provider of file systems";
    FileSystemNotFound    = NOT_FOUND,              "CBRX.0055",          "the file system does not exist";

    // --- restore points and backups
    CheckpointNotFound    = NOT_FOUND,              "BackupService.6217", "the restore point does not exist";
    NothingToBackUp       = BAD_REQUEST,            "BackupService.0001", "no resource can be backed up now, or nothing copied";
    BackupNotFound        = NOT_FOUND,              "BackupService.6200", "the backup does not exist";
    BackupNotDeletable    = BAD_REQUEST,            "BackupService.6201", "the status of the backup does not allow its deletion";
    BackupNotExportable   = BAD_REQUEST,            "CBRX.0010",          "the status of the backup does not allow an export";
    TooManyExports        = CONFLICT,               "CBRX.0011",          "the machine exports as many backups as it may";
    ExportNotFound        = NOT_FOUND,              "CBRX.0012",          "the export does not exist";
    BackupExported        = CONFLICT,               "CBRX.0013",          "the backup is exported and cannot be deleted before its exports have ended";
    NotInTrash            = NOT_FOUND,              "CBRX.0020",          "a backup of this id in the trash does not exist";
    TrashVaultGone        = CONFLICT,               "CBRX.0021",          "the vault of the deleted backup is gone; another one must be named";
    BackupInUse           = BAD_REQUEST,            "BackupService.6216", "the backup is in use and cannot be deleted";
    BackupLocked          = BAD_REQUEST,            "BackupService.6220", "an automatic backup in a locked vault cannot be deleted by hand";

    // --- images
    BackupHasImage        = BAD_REQUEST,            "BackupService.6204", "an image was made of the backup; it must be deleted first";
    BackupNotOfServer     = BAD_REQUEST,            "BackupService.6207", "backups of this kind make no images";
    BackupForbidsImage    = BAD_REQUEST,            "BackupService.6208", "the status of the backup does not allow an image of it";
    BackupLacksSystemDisk = BAD_REQUEST,            "BackupService.6209", "the backup does not contain the system disk, so it makes no image";
    ImageMadeAlready      = BAD_REQUEST,            "BackupService.6210", "an image was made of the backup already";
    ImageNotMade          = BAD_REQUEST,            "BackupService.6212", "the image cannot be made";
    RecipientHasImage     = BAD_REQUEST,            "BackupService.6710", "a project the backup is shared with made an image of it";
    ImageNotFound         = NOT_FOUND,              "CBRX.0040",          "the image does not exist";
    ImageProtected        = CONFLICT,               "CBRX.0041",          "the image is protected from deletion";
    ImageInUse            = CONFLICT,               "CBRX.0042",          "the image is being made, or something is being made from it";

    // --- restores
    TargetTooSmall        = BAD_REQUEST,            "BackupService.2001", "the target disk is smaller than the backup";
    ResourceBackingUp     = BAD_REQUEST,            "BackupService.2002", "the resource is being backed up; restore later";
    RestoreElsewhere      = BAD_REQUEST,            "BackupService.2003", "the backup cannot be restored to this target";
    BackupNotRestorable   = BAD_REQUEST,            "BackupService.2005", "the status of the backup does not allow a restore";
    ServerForbidsRestore  = BAD_REQUEST,            "BackupService.2008", "the status of the server does not allow a restore";
    ResourceRestoring     = BAD_REQUEST,            "BackupService.2010", "the resource is being restored already";
    VolumeForbidsRestore  = BAD_REQUEST,            "BackupService.2011", "the status of the disk does not allow a restore";
    SystemDiskTarget      = BAD_REQUEST,            "BackupService.2013", "the backup of a data disk cannot go to a system disk";

    // --- sharing
    TooManyMembers        = BAD_REQUEST,            "BackupService.6701", "the backup is shared with as many projects as it may";
    BackupNotShareable    = BAD_REQUEST,            "BackupService.6702", "the status of the backup does not allow it to be shared";
    SharedAlready         = BAD_REQUEST,            "BackupService.6703", "the backup is shared with that project already";
    RecipientInvalid      = BAD_REQUEST,            "BackupService.6704", "the backup cannot be shared with that project";
    MemberNotFound        = NOT_FOUND,              "BackupService.6705", "a share of the backup with that project does not exist";
    MemberValueInvalid    = BAD_REQUEST,            "BackupService.6706", "the answer to a share has a value it cannot have";
    NotShareable          = BAD_REQUEST,            "BackupService.6707", "backups of this kind cannot be shared";
    MemberNotChanged      = BAD_REQUEST,            "BackupService.6708", "the share cannot be changed in this way";
    BackupEncrypted       = BAD_REQUEST,            "BackupService.6709", "a backup of encrypted disks cannot be shared";
    ShareInUse            = BAD_REQUEST,            "BackupService.6711", "a project the backup is shared with is reading it; it cannot be deleted now";
    VaultForbidsSharing   = BAD_REQUEST,            "BackupService.6712", "the status of the vault does not allow sharing or accepting";
    ShareKindMismatch     = BAD_REQUEST,            "BackupService.6713", "the accepting vault is for another type of resource";
    ShareNotPassedOn      = BAD_REQUEST,            "BackupService.6714", "a backup that was shared with the caller cannot be shared on";
    BackupNotDescribed    = BAD_REQUEST,            "BackupService.6206", "the status of the backup does not allow its metadata to be shown";

    // --- agents
    AgentIllegal          = BAD_REQUEST,            "BackupService.7403", "the agent's id is malformed or another's, or the agent was uninstalled";
    TooManyPaths          = BAD_REQUEST,            "BackupService.7407", "the agent has too many directories";
    AgentNotFound         = NOT_FOUND,              "BackupService.7410", "the agent, or for a backup one in the server that brings databases to rest, does not exist";

    // --- copies in other regions, hybrid clouds, predecessors
    BackupStatus          = BAD_REQUEST,            "BackupService.1001", "the status of the backup does not allow a copy of it";
    ReplicaRegion         = BAD_REQUEST,            "BackupService.1005", "nothing can be copied to the destination region";
    ReplicaProject        = BAD_REQUEST,            "BackupService.1011", "nothing can be copied to the destination project";
    DestinationVault      = BAD_REQUEST,            "BackupService.6119", "the destination vault takes no copies";
    DestinationVaultAbsent = BAD_REQUEST,           "BackupService.6120", "the destination project has no such vault";
    NotReplicable         = BAD_REQUEST,            "BackupService.6122", "backups of this type of resource are not copied";
    VaultNotReplicable    = BAD_REQUEST,            "BackupService.6128", "vaults of this type are not copied";
    VaultNotHybrid        = BAD_REQUEST,            "BackupService.7300", "the vault cannot be synchronised";
    SyncRunning           = BAD_REQUEST,            "BackupService.7302", "the vault is being synchronised already";
    MigrationNotFound     = NOT_FOUND,              "BackupService.4001", "a migration from the predecessor services does not exist";

    // --- alarms and topics
    AlarmNotFound         = NOT_FOUND,              "CES.0404",           "the alarm rule or the template does not exist";
    AlarmConflict         = CONFLICT,               "CES.0409",           "there are too many alarms, or one like it; the message says which";
    TopicNotFound         = NOT_FOUND,              "SMN.0404",           "the topic, the subscription or the delivery does not exist";
    TopicConflict         = CONFLICT,               "SMN.0409",           "there are too many of these, or one like it, or its state forbids it; the message says which";

    // --- tasks
    OperationNotFound     = NOT_FOUND,              "BackupService.6500", "the operation log does not exist";
    JobNotFound           = NOT_FOUND,              "BackupService.6501", "the job does not exist";
    NotCancellable        = CONFLICT,               "CBRX.0003",          "the operation has ended or is of a kind that cannot stop half-way";

    // --- identity
    TokenNotFound         = NOT_FOUND,              "IAM.0005",           "the token does not exist";
    ProjectNotFound       = NOT_FOUND,              "IAM.0004",           "the project does not exist";
    IdentityNotFound      = NOT_FOUND,              "IAM.0006",           "the user, group, policy, grant, key, agency or enterprise project does not exist";
    IdentityTaken         = CONFLICT,               "IAM.0007",           "the account has one of this name already";
    IdentityLimit         = CONFLICT,               "IAM.0008",           "there are as many of these as there may be";
    IdentityConflict      = CONFLICT,               "IAM.0009",           "the state of things forbids it; the message says what would have to be different";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_every_status_is_an_error() {
        let mut seen = HashSet::new();
        for code in ErrorCode::ALL {
            let (status, wire) = code.wire();
            assert!(seen.insert(wire), "{wire} twice");
            assert!(status.is_client_error() || status.is_server_error(), "{wire}");
        }
    }

    /// Contract D, the statuses clients depend on: absent things are 404.
    #[test]
    fn what_does_not_exist_is_404() {
        for code in ErrorCode::ALL {
            let is_absent = code.meaning().ends_with("does not exist");
            assert_eq!(
                is_absent || *code == ErrorCode::UnknownApi,
                code.wire().0 == 404,
                "{code:?}"
            );
        }
    }
}
