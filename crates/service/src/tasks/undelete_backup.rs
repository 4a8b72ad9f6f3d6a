//! Takes one backup with its children out of the trash: in the store, then in the catalogue.

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, StoredVersion};
use cbr_model::operation::OperationType;
use cbr_model::retention::{Hold, HoldKind};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ProjectId, VaultId};
use cbr_store::{ChainRef, Error as StoreError, Repository};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::trouble::Trouble;
use super::{order, trash};
use crate::Access;
use crate::content;
use crate::core::Core;
use crate::failure::Code;

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) backup: BackupId,
    /// Where it comes back; it cannot be deleted as long as this task is not over (VLT-63).
    pub(crate) vault: VaultId,
    pub(crate) versions: Vec<StoredVersion>,
}

/// The stages of taking back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum UndeleteTask {
    /// Note how far the logs of deletions have come.
    Mark { job: Job },
    /// Take its content out of the trash.
    Restore { job: Job, marks: Vec<u64> },
    /// Over.
    Done { job: Job, outcome: Outcome },
}

/// The task that takes `backup` back into `vault`.
pub(crate) fn new(core: &Core, access: &Access, vault: &Vault, backup: &Backup) -> NewTask {
    let job = Job {
        project: backup.project,
        backup: backup.id,
        vault: vault.id,
        versions: content::versions(backup),
    };
    let first = UndeleteTask::Mark { job };
    let task = order::new_in_vault(core, access, vault, OperationType::Undelete, &first);
    order::on_deleted(task, backup)
}

#[async_trait]
impl Task for UndeleteTask {
    const KIND: &'static str = "undelete_backup";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Mark { job } => mark(core, job).await,
            Self::Restore { job, marks } => restore(core, run, job, marks).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Done { job, outcome: Outcome::Success } => {
                if tx.trash().take_back(job.project, job.backup, job.vault).await? {
                    // Or the next check would remove what somebody has just wanted back.
                    let (kind, since) = (HoldKind::TakenBack, tx.now());
                    let hold = Hold { kind, note: String::new(), since };
                    tx.retention().hold(job.backup, &hold).await?;
                }
                Ok(())
            }
            Self::Mark { .. } | Self::Restore { .. } | Self::Done { .. } => Ok(()),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Mark { job } | Self::Restore { job, .. } => {
                Self::Done { job, outcome: Outcome::Failed(failure) }
            }
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Mark { .. } | Self::Restore { .. } => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}

async fn mark(core: &Core, job: Job) -> Result<UndeleteTask, Trouble> {
    let mut tx = core.db.read().await?;
    let is_there = tx.trash().find(job.project, job.backup).await?.is_some();
    drop(tx);
    if !is_there {
        let reason =
            "The backup is not in the trash any more: it was purged, or taken back before.";
        return Err(Trouble::fail(Code::BackupNotFound, reason));
    }
    let marks = trash::marks(core, &job.versions).await?;
    Ok(UndeleteTask::Restore { job, marks })
}

async fn restore(
    core: &Core,
    run: &TaskContext,
    job: Job,
    marks: Vec<u64>,
) -> Result<UndeleteTask, Trouble> {
    for (version, mark) in job.versions.iter().zip(&marks) {
        let (mark, by) = (Some(*mark), run.id().to_string());
        let undelete = move |repository: &Repository, chain: &ChainRef, seq: u64| match repository
            .undelete(chain, &[seq], mark, &by)
        {
            Err(StoreError::NoSuchVersion { .. }) => Ok(false),
            done => done.map(|()| true),
        };
        if !trash::blocking(core, version, undelete).await? {
            let reason = "The content of the backup is gone for good: it was purged.";
            return Err(Trouble::fail(Code::BackupNotFound, reason));
        }
    }
    Ok(UndeleteTask::Done { job, outcome: Outcome::Success })
}
