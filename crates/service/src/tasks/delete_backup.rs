//! Deletes one backup with its children: from the store, then from the catalogue.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, BackupState, StoredVersion};
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ProjectId};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::trouble::Trouble;
use super::{order, rows};
use crate::Access;
use crate::content;
use crate::core::Core;

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) backup: BackupId,
    /// What it consists of.
    pub(crate) versions: Vec<StoredVersion>,
}

/// The stages of a deletion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum DeleteTask {
    /// Free its content.
    Erase { job: Job },
    /// Over.
    Done { job: Job, outcome: Outcome },
}

/// The task that deletes `backup`.
pub(crate) fn new(core: &Core, access: &Access, vault: &Vault, backup: &Backup) -> NewTask {
    let job =
        Job { project: backup.project, backup: backup.id, versions: content::versions(backup) };
    let first = DeleteTask::Erase { job };
    let task = order::new_in_vault(core, access, vault, OperationType::Delete, &first);
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        resource: Some(OperationResource {
            id: backup.resource,
            name: backup.resource_name.clone(),
            kind: backup.resource_kind,
        }),
        details: OperationDetails::Delete {
            backup_id: backup.id.to_string(),
            backup_name: backup.name.to_string(),
        },
        // Not the resource's key: a deletion need not wait for a backup that runs for hours.
        exclusive_key: Some(format!("erase:{}", backup.resource)),
        ..task
    }
}

#[async_trait]
impl Task for DeleteTask {
    const KIND: &'static str = "delete_backup";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        match self {
            Self::Erase { job } => match erase(core, &job.versions).await {
                Ok(()) => Ok(Self::Done { job, outcome: Outcome::Success }),
                Err(trouble) => Err(trouble.at(Self::Erase { job })),
            },
            Self::Done { .. } => Ok(self),
        }
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Erase { .. } => Ok(()),
            Self::Done { job, outcome: Outcome::Failed(failure) } => {
                let reason = &failure.error.message;
                let fail = |state: BackupState| state.fail(reason.clone());
                rows::advance_all(tx, job.project, job.backup, &fail).await
            }
            Self::Done { job, outcome: Outcome::Success | Outcome::Skipped(_) } => {
                rows::forget(tx, job.project, job.backup).await
            }
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Erase { job } => Self::Done { job, outcome: Outcome::Failed(failure) },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Erase { .. } => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}

/// Deletes versions from the store. Those that are gone already are fine.
pub(super) async fn erase(core: &Core, versions: &[StoredVersion]) -> Result<(), Trouble> {
    for version in versions {
        let (repository, gone) = (Arc::clone(&core.repository), content::reference(version));
        let freed = spawn_blocking(move || repository.delete(&gone.chain, &[gone.seq])).await??;
        metrics::counter!("cbr_deleted_stored_bytes_total").increment(freed.freed_bytes);
        metrics::counter!("cbr_store_audit_rescues_total").increment(freed.rescued_packs);
    }
    Ok(())
}
