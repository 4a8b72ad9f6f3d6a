//! From what a use case says to what the wire says.

use cbr_model::resource::ResourceKind;
use cbr_model::tag::InvalidTags;
use cbr_service::agents::AgentError;
use cbr_service::alarms::AlarmError;
use cbr_service::error::VaultRefusal;
use cbr_service::images::ImageError;
use cbr_service::imports::ImportError;
use cbr_service::policies::PolicyRefusal;
use cbr_service::replication::ReplicaError;
use cbr_service::servers::ServerError;
use cbr_service::sharing::ShareError;
use cbr_service::topics::TopicError;
use cbr_service::{Error, Error as E};

use super::{ApiError, ErrorCode, ErrorCode as C};

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        // Causes are logged here, once, because here they are handled.
        match &error {
            Error::Internal { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                Self::unknown()
            }
            Error::ProviderUnavailable { reason } => {
                tracing::warn!(reason, "the provider does not answer");
                let message = "The provider does not answer; try again later.";
                Self::new(ErrorCode::ProviderUnavailable, message)
            }
            told => Self { code: code(told), message: sentence(&told.to_string()) },
        }
    }
}

/// No `_` arm: a new refusal of the service must choose its code here.
const fn code(error: &Error) -> ErrorCode {
    match error {
        E::CredentialRefused | E::SecondFactorNeeded => C::Unauthenticated,
        E::Forbidden | E::ActionDenied { .. } => C::Forbidden,
        E::IdentityNotFound { .. } => C::IdentityNotFound,
        E::IdentityTaken { .. } | E::IdentityLimit { .. } => of_no_room(error),
        E::IdentityConflict { .. } => C::IdentityConflict,
        E::ProjectNotFound(_) => C::ProjectNotFound,
        E::Busy | E::TooManyTasks { .. } => C::TooManyRequests,
        E::Invalid { .. } | E::Unsupported(_) => C::InvalidParameter,
        E::Tags(invalid) => of_tags(invalid),
        E::TagNotFound(_) => C::TagNotFound,
        E::QuotaUsedUp { .. } => C::QuotaUsedUp,
        E::VaultNotFound(_) => C::VaultNotFound,
        E::VaultSizeInvalid { .. } => C::VaultSizeInvalid,
        E::VaultNotEditable { .. } => C::VaultNotEditable,
        E::VaultNotDeletable { .. } | E::VaultKept { .. } => C::VaultNotDeletable,
        E::Vault(refusal) => vault_code(refusal),
        E::VaultBusy { .. } => C::VaultBusy,
        E::VaultStatus { .. } => C::VaultStatus,
        E::VaultStatusForbidsBackup { .. } => C::VaultForbidsBackup,
        E::VaultStatusForbidsRestore { .. } => C::VaultForbidsRestore,
        E::VaultFull { .. } => C::VaultFull,
        E::Policy(refusal) => of_policy(refusal),
        E::TooManyResources { .. } => C::TooManyResources,
        E::ResourceKindMismatch { .. } => C::ResourceKindMismatch,
        E::NeverMigrated => C::MigrationNotFound,
        E::HostsNotTaken { .. } => C::VaultTakesNothing,
        E::ResourceInOtherVault { .. } => C::ResourceInOtherVault,
        E::ResourceRepeated { .. } => C::ResourceRepeated,
        E::ResourceRemoving { .. } => C::ResourceRemoving,
        E::ResourceNotInVault { .. } => C::ResourceNotInVault,
        E::ResourceNotFound(_) => C::ResourceNotFound,
        E::VolumeNotFound(_) | E::ServerNotFound(_) | E::RestoreTargetGone { .. } => absent(error),
        E::ServerWithoutDisk(_) | E::TooManySharedDisks { .. } => of_disks(error),
        E::ResourceStatusForbidsBackup { .. } => C::ResourceStatus,
        E::VolumeNotDeletable { .. } => C::VolumeNotDeletable,
        E::CheckpointNotFound(_) => C::CheckpointNotFound,
        E::NothingToBackUp { .. } => C::NothingToBackUp,
        E::BackupNotFound(_) => C::BackupNotFound,
        E::BackupNotDeletable { .. } => C::BackupNotDeletable,
        E::BackupInUse(_) => C::BackupInUse,
        E::NotInTrash(_) | E::TrashVaultGone { .. } => of_trash(error),
        E::BackupExported(_) | E::BackupNotExportable { .. } => of_exported(error),
        E::TooManyExports { .. } => C::TooManyExports,
        E::ExportNotFound(_) => C::ExportNotFound,
        E::BackupLocked(_) => C::BackupLocked,
        E::BackupNotRestorable { .. } => C::BackupNotRestorable,
        E::TargetTooSmall { .. } => C::TargetTooSmall,
        E::ResourceBackingUp(_) | E::ResourceRestoring(_) => of_busy(error),
        E::RestoreElsewhere { .. } => C::RestoreElsewhere,
        E::SystemDiskTarget(_) => C::SystemDiskTarget,
        E::VolumeStatusForbidsRestore { .. } => C::VolumeForbidsRestore,
        E::ServerStatusForbidsRestore { .. } => C::ServerForbidsRestore,
        E::Agent(error) => of_agent(error),
        E::Alarm(error) => of_alarm(error),
        E::Topic(error) => of_topic(error),
        E::Server(error) => of_server(error),
        E::Image(error) => of_image(error),
        E::Share(error) => of_share(error),
        E::Replica(error) => of_replica(error),
        E::Import(error) => of_import(error),
        E::BackupNotDescribed { .. } => C::BackupNotDescribed,
        E::OperationNotFound(_) => C::OperationNotFound,
        E::OperationNotCancellable { .. } => C::NotCancellable,
        E::ProviderUnavailable { .. } | E::ResourceUnreachable { .. } => C::ProviderUnavailable,
        E::Internal { .. } => C::Unknown,
    }
}

const fn of_trash(error: &Error) -> ErrorCode {
    if matches!(error, E::NotInTrash(_)) { C::NotInTrash } else { C::TrashVaultGone }
}

/// What an export does not allow, and what cannot be exported.
const fn of_exported(error: &Error) -> ErrorCode {
    if matches!(error, E::BackupExported(_)) { C::BackupExported } else { C::BackupNotExportable }
}

/// What something else is done to just now.
const fn of_busy(error: &Error) -> ErrorCode {
    if matches!(error, E::ResourceBackingUp(_)) {
        C::ResourceBackingUp
    } else {
        C::ResourceRestoring
    }
}

/// A resource that is not there.
const fn absent(error: &Error) -> ErrorCode {
    match error {
        E::ServerNotFound(_) | E::RestoreTargetGone { kind: ResourceKind::Server, .. } => {
            C::ServerNotFound
        }
        _ => C::VolumeNotFound,
    }
}

/// What a server's disks do not allow.
const fn of_disks(error: &Error) -> ErrorCode {
    if matches!(error, E::ServerWithoutDisk(_)) {
        C::ServerWithoutDisk
    } else {
        C::TooManySharedDisks
    }
}

/// The name is taken, or there are too many already.
const fn of_no_room(error: &Error) -> ErrorCode {
    if matches!(error, E::IdentityTaken { .. }) { C::IdentityTaken } else { C::IdentityLimit }
}

const fn of_tags(invalid: &InvalidTags) -> ErrorCode {
    match invalid {
        InvalidTags::Repeated(_) | InvalidTags::Text(_) => ErrorCode::InvalidParameter,
        InvalidTags::TooMany { .. } => ErrorCode::TooManyTags,
    }
}

const fn of_agent(error: &AgentError) -> ErrorCode {
    match error {
        AgentError::NotFound(_) => ErrorCode::AgentNotFound,
        AgentError::Illegal { .. } => ErrorCode::AgentIllegal,
        AgentError::TooManyPaths { .. } => ErrorCode::TooManyPaths,
    }
}

const fn of_alarm(error: &AlarmError) -> ErrorCode {
    use AlarmError as E;
    match error {
        E::NotFound { .. } => ErrorCode::AlarmNotFound,
        E::TemplateTaken(_) | E::TooMany { .. } | E::BuiltIn => ErrorCode::AlarmConflict,
    }
}

const fn of_topic(error: &TopicError) -> ErrorCode {
    use TopicError as E;
    match error {
        E::NotFound { .. } => ErrorCode::TopicNotFound,
        E::Taken { .. } | E::TooMany { .. } | E::Conflict(_) => ErrorCode::TopicConflict,
        E::AskedOften(_) => ErrorCode::TooManyRequests,
    }
}

const fn of_image(error: &ImageError) -> ErrorCode {
    use ErrorCode as C;
    use ImageError as E;
    match error {
        E::NotFound(_) => C::ImageNotFound,
        E::NotOfServer { .. } => C::BackupNotOfServer,
        E::BackupStatus { .. } => C::BackupForbidsImage,
        E::WithoutSystemDisk(_) => C::BackupLacksSystemDisk,
        E::MadeAlready { .. } => C::ImageMadeAlready,
        E::VaultOverbound { .. } => C::VaultFull,
        E::BackupHeld { .. } => C::BackupHasImage,
        E::HeldByRecipient { .. } => C::RecipientHasImage,
        E::Protected(_) => C::ImageProtected,
        E::InUse { .. } => C::ImageInUse,
        E::NotBackedUp(_) => C::ImageNotMade,
    }
}

const fn of_server(error: &ServerError) -> ErrorCode {
    use ErrorCode as C;
    use ServerError as E;
    match error {
        E::NotPowered(_) => C::ServerNotPowered,
        E::NotMade(_) => C::ServerNotMade,
        E::NotOff(_) => C::ServerNotOff,
        E::VolumeNotAttachable { .. } | E::VolumeNotDetachable { .. } => C::VolumeNotMovable,
    }
}

const fn of_share(error: &ShareError) -> ErrorCode {
    use ErrorCode as C;
    use ShareError as E;
    match error {
        E::BackupReceived(_) => C::Forbidden,
        E::ShareNotPassedOn(_) => C::ShareNotPassedOn,
        E::BackupEncrypted(_) => C::BackupEncrypted,
        E::NotShareable { .. } => C::NotShareable,
        E::BackupNotShareable { .. } => C::BackupNotShareable,
        E::VaultStatusForbidsSharing { .. } => C::VaultForbidsSharing,
        E::RecipientInvalid { .. } => C::RecipientInvalid,
        E::SharedAlready(_) => C::SharedAlready,
        E::TooManyMembers { .. } => C::TooManyMembers,
        E::MemberNotFound { .. } => C::MemberNotFound,
        E::MemberNotChanged { .. } => C::MemberNotChanged,
        E::ShareKindMismatch { .. } => C::ShareKindMismatch,
        E::VaultLacksRoom { .. } => C::VaultFull,
        E::ShareInUse(_) => C::ShareInUse,
    }
}

const fn of_replica(error: &ReplicaError) -> ErrorCode {
    use ErrorCode as C;
    use ReplicaError as E;
    match error {
        E::ReplicaRegion { .. } => C::ReplicaRegion,
        E::ReplicaProject(_) => C::ReplicaProject,
        E::DestinationVaultNotFound(_) => C::DestinationVaultAbsent,
        E::DestinationVaultRefused(_) => C::DestinationVault,
        E::NotReplicable { .. } => C::NotReplicable,
        E::BackupNotReplicable { .. } => C::BackupStatus,
        E::VaultNotReplicable { .. } => C::VaultNotReplicable,
        E::NothingToReplicate => C::NothingToBackUp,
    }
}

const fn of_import(error: &ImportError) -> ErrorCode {
    use ErrorCode as C;
    use ImportError as E;
    match error {
        E::NoFileVault => C::VaultNotFound,
        E::VaultNotHybrid { .. } | E::NoBucket => C::VaultNotHybrid,
        E::SyncRunning { .. } => C::SyncRunning,
        E::BackupIdTaken(_) | E::BucketUnknown(_) | E::Image(_) => C::InvalidParameter,
        E::BucketUnreachable { .. } => C::ProviderUnavailable,
    }
}

const fn of_policy(refusal: &PolicyRefusal) -> ErrorCode {
    use ErrorCode as C;
    use PolicyRefusal as R;
    match refusal {
        R::NotFound(_) | R::OrganizationNotFound(_) => C::PolicyNotFound,
        R::TooMany { .. } => C::TooManyPolicies,
        R::NotBound { .. } => C::PolicyNotBound,
        R::DestinationFixed { .. } => C::PolicyDestination,
        R::Managed { .. } => C::PolicyManaged,
        R::NotApplicable { .. } => C::PolicyNotApplicable,
        R::NotReplicable(_) => C::NotReplicable,
        R::DestinationUnknown { .. } => C::DestinationUnknown,
    }
}

const fn vault_code(refusal: &VaultRefusal) -> ErrorCode {
    match refusal {
        VaultRefusal::DestinationNotFound(_) => ErrorCode::DestinationVaultAbsent,
        VaultRefusal::DestinationFull { .. } => ErrorCode::DestinationFull,
        VaultRefusal::OrderNotFound { .. } => ErrorCode::OrderNotFound,
        VaultRefusal::NotEnough { .. } | VaultRefusal::OrderSettled { .. } => {
            ErrorCode::VaultNotEditable
        }
        VaultRefusal::NoDatabases { .. } => ErrorCode::VaultTypeUnsupported,
        VaultRefusal::NotForDatabases(_) => ErrorCode::NotForDatabases,
        VaultRefusal::Changing => ErrorCode::VaultChanging,
    }
}

/// With a capital and a full stop, as messages of the contract are written.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_an_internal_fault_never_reaches_the_caller() {
        let source = "disk on fire at /var/lib".into();
        let error = ApiError::from(Error::Internal { doing: "reading a vault", source });
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::Unknown, "Unknown error."));
    }

    /// ADR 6: what the provider said names paths and hosts.
    #[test]
    fn what_the_provider_said_is_not_told_to_the_caller() {
        let reason = "cannot open /srv/pool: not mounted".to_owned();
        let error = ApiError::from(Error::ProviderUnavailable { reason });
        assert_eq!(error.code, ErrorCode::ProviderUnavailable);
        assert!(!error.message.contains("/srv"), "{}", error.message);
    }

    /// RST-43: a client sees which of them is gone by the code.
    #[test]
    fn a_target_that_is_gone_has_the_code_of_its_kind() {
        let of = |kind| {
            let id = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap();
            ApiError::from(Error::RestoreTargetGone { kind, id, remedy: "look elsewhere" }).code
        };
        assert_eq!(of(ResourceKind::Server), ErrorCode::ServerNotFound);
        assert_eq!(of(ResourceKind::Volume), ErrorCode::VolumeNotFound);
    }

    #[test]
    fn messages_are_sentences() {
        let id = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap();
        let error = ApiError::from(Error::VaultNotFound(id));
        assert_eq!(error.message, "Vault a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01 does not exist.");
    }
}
