//! Deletes one backup with its children: from the store, then from the catalogue.
//!
//! ```text
//!   Mark ──▶ Trash ──▶ Done      where what is deleted can be taken back for some days
//!            Erase ──▶ Done      else
//! ```

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, BackupState, StoredVersion};
use cbr_model::operation::OperationType;
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ProjectId};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::order::Origin;
use super::{order, rows, trash};
use crate::content;
use crate::core::Core;

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) backup: BackupId,
    /// What it consists of.
    pub(crate) versions: Vec<StoredVersion>,
    /// It goes to the trash. Nothing that was written before there was one says so.
    #[serde(default)]
    pub(crate) undo: bool,
}

/// The stages of a deletion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum DeleteTask {
    /// Note how far the logs of deletions have come.
    Mark { job: Job },
    /// Put its content into the trash.
    Trash { job: Job, marks: Vec<u64> },
    /// Free its content.
    Erase { job: Job },
    /// Over.
    Done { job: Job, outcome: Outcome },
}

/// The task that deletes `backup`.
pub(crate) fn new<'a>(
    core: &Core,
    origin: impl Into<Origin<'a>>,
    vault: &Vault,
    backup: &Backup,
) -> NewTask {
    let versions = content::versions(backup);
    let undo = core.undo_days > 0 && !versions.is_empty();
    let job = Job { project: backup.project, backup: backup.id, versions, undo };
    let first = if undo { DeleteTask::Mark { job } } else { DeleteTask::Erase { job } };
    let task = order::new_in_vault(core, origin, vault, OperationType::Delete, &first);
    order::on_deleted(task, backup)
}

#[async_trait]
impl Task for DeleteTask {
    const KIND: &'static str = "delete_backup";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        match self {
            Self::Mark { job } => match trash::marks(core, &job.versions).await {
                Ok(marks) => Ok(Self::Trash { job, marks }),
                Err(trouble) => Err(trouble.at(Self::Mark { job })),
            },
            Self::Trash { job, marks } => {
                match trash::put(core, &job.versions, &marks, run.id().to_string()).await {
                    Ok(()) => Ok(Self::Done { job, outcome: Outcome::Success }),
                    Err(trouble) => Err(trouble.at(Self::Trash { job, marks })),
                }
            }
            Self::Erase { job } => match trash::erase(core, &job.versions).await {
                Ok(()) => Ok(Self::Done { job, outcome: Outcome::Success }),
                Err(trouble) => Err(trouble.at(Self::Erase { job })),
            },
            Self::Done { .. } => Ok(self),
        }
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Mark { .. } | Self::Trash { .. } | Self::Erase { .. } => Ok(()),
            Self::Done { job, outcome: Outcome::Failed(failure) } => {
                let reason = &failure.error.message;
                let fail = |state: BackupState| state.fail(reason.clone());
                rows::advance_all(tx, job.project, job.backup, &fail).await
            }
            Self::Done { job, outcome: Outcome::Success | Outcome::Skipped(_) } => {
                rows::put_away(tx, job.project, job.backup, job.undo).await
            }
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Mark { job } | Self::Trash { job, .. } | Self::Erase { job } => {
                Self::Done { job, outcome: Outcome::Failed(failure) }
            }
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Mark { .. } | Self::Trash { .. } | Self::Erase { .. } => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}
