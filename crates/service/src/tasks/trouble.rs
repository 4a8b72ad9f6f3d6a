//! What went wrong in a task, by what the engine does next.

use std::time::Duration;

use cbr_db::DbError;
use cbr_provider::ProviderError;
use cbr_task::StepError;
use tokio::task::JoinError;

use crate::Error;
use crate::error::VaultRefusal;
use crate::error::chain;
use crate::failure::Code;

/// What went wrong in a step.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Trying again later may help.
    Again { reason: String },
    /// Something else has to end first.
    Wait { after: Duration },
    /// Trying again will not help.
    Fail { code: Code, reason: String },
    /// Somebody wants it to stop, or the lease is lost.
    Stopped,
}

impl Trouble {
    /// What the engine is told: the trouble came up at `stage`.
    pub(crate) fn at<T>(self, stage: T) -> StepError<T> {
        match self {
            Self::Again { reason } => {
                StepError::Retry { stage, code: Code::Unknown.as_str(), reason, after: None }
            }
            Self::Wait { after } => StepError::Wait { stage, after },
            Self::Fail { code, reason } => StepError::Fail { stage, code: code.as_str(), reason },
            Self::Stopped => StepError::Cancelled { stage },
        }
    }

    pub(crate) fn fail(code: Code, reason: impl Into<String>) -> Self {
        Self::Fail { code, reason: reason.into() }
    }
}

impl From<ProviderError> for Trouble {
    fn from(error: ProviderError) -> Self {
        let reason = chain(&error);
        if error.is_retryable() {
            return Self::Again { reason };
        }
        let code = match &error {
            ProviderError::NotFound { .. } => Code::VolumeNotFound,
            ProviderError::InUse { .. } => Code::VolumeStatus,
            ProviderError::TooSmall { .. } => Code::TargetTooSmall,
            ProviderError::Refused { .. } | ProviderError::Changed { .. } => Code::ResourceStatus,
            ProviderError::Configuration { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::Unreachable { .. }
            | ProviderError::Io { .. } => Code::Unknown,
        };
        Self::Fail { code, reason }
    }
}

impl From<cbr_store::Error> for Trouble {
    fn from(error: cbr_store::Error) -> Self {
        use cbr_store::Error as E;
        match &error {
            E::Cancelled => Self::Stopped,
            // The disk may answer when it is opened again. Or another worker of the same
            // task decided this one's outcome (P14): then it has something to say.
            E::Source { .. } | E::SessionLost { .. } => Self::Again { reason: chain(&error) },
            // A writer that failed once stays broken (P20): the restore has to begin anew.
            E::Target { .. } => Self::fail(Code::VolumeNotRestorable, chain(&error)),
            other if other.is_transient() => Self::Again { reason: chain(&error) },
            _ => Self::fail(Code::Unknown, chain(&error)),
        }
    }
}

impl From<DbError> for Trouble {
    fn from(error: DbError) -> Self {
        ours(&error, error.is_transient())
    }
}

/// A fault of ours. Its cause belongs into the log, not to the tenant.
fn ours(error: &(dyn std::error::Error + 'static), is_transient: bool) -> Trouble {
    tracing::warn!(error, "a step met a fault of the service");
    let reason = "A fault of the service; its log has the cause.".to_owned();
    if is_transient { Trouble::Again { reason } } else { Trouble::fail(Code::Unknown, reason) }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match &error {
            Error::ProviderUnavailable { .. } | Error::ResourceUnreachable { .. } | Error::Busy => {
                Self::Again { reason: chain(&error) }
            }
            Error::Import(refused) if refused.is_passing() => Self::Again { reason: chain(&error) },
            Error::Import(_) => Self::fail(Code::ImageUnusable, error.to_string()),
            Error::BackupNotFound(_) => Self::fail(Code::BackupNotFound, error.to_string()),
            Error::VaultFull { .. } => Self::fail(Code::VaultFull, error.to_string()),
            Error::Vault(VaultRefusal::DestinationNotFound(_)) => {
                Self::fail(Code::DestinationNotFound, error.to_string())
            }
            Error::VaultStatusForbidsBackup { .. } => {
                Self::fail(Code::VaultStatus, error.to_string())
            }
            Error::Internal { source, .. } => {
                let is_transient = source.downcast_ref().is_some_and(DbError::is_transient);
                ours(&error, is_transient)
            }
            _ => Self::fail(Code::Unknown, chain(&error)),
        }
    }
}

/// A step's thread died: a defect, or the end of the process.
impl From<JoinError> for Trouble {
    fn from(error: JoinError) -> Self {
        Self::Again { reason: chain(&error) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cbr_db::Db;
    use cbr_env::SystemClock;
    use cbr_testkit::TestDatabase;

    use super::*;
    use crate::error::db;

    /// P3: a database that is away for a moment ends no task, however its error was wrapped.
    #[tokio::test]
    async fn a_database_that_does_not_answer_is_asked_again() {
        let database = TestDatabase::sqlite();
        let open = Db::open(database.url(), Arc::new(SystemClock::default())).await.unwrap();
        open.close().await.unwrap();
        let bare = open.read().await.unwrap_err();
        assert!(matches!(Trouble::from(bare), Trouble::Again { .. }));
        let wrapped = db("reading a vault")(open.read().await.unwrap_err());
        assert!(matches!(Trouble::from(wrapped), Trouble::Again { .. }));
    }

    /// The operation log is the tenant's: it names no table, no path and no host.
    #[test]
    fn the_cause_of_our_own_fault_is_not_told_to_the_tenant() {
        let cause = std::io::Error::other("/var/lib/cbr/cbr.db: table vaults");
        match Trouble::from(Error::internal("reading a vault")(cause)) {
            Trouble::Fail { code: Code::Unknown, reason } => {
                assert!(!reason.contains("cbr.db") && !reason.contains("vault"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}
