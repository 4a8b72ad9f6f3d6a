//! Gives up one backup in the trash for good: in the store, then in the trash's rows.
//!
//! ```text
//!   Mark ──▶ Trash ──▶ Purge ──▶ Done
//! ```
//!
//! Taking back may have ended half-way, with some disks out of the trash. They go back there first: what is
//! live is not purged, and without a row nobody would ever delete it.

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, StoredVersion};
use cbr_model::operation::OperationType;
use cbr_model::{BackupId, ProjectId, TaskId};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::trouble::Trouble;
use super::{order, trash};
use crate::Access;
use crate::content;
use crate::core::Core;

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) backup: BackupId,
    pub(crate) versions: Vec<StoredVersion>,
}

/// The stages of giving up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum PurgeBackupTask {
    /// Note how far the logs of deletions have come.
    Mark { job: Job },
    /// Put into the trash what is not there, and note again how far the logs have come.
    Trash { job: Job, marks: Vec<u64> },
    /// Free its content.
    Purge { job: Job, marks: Vec<u64> },
    /// Over.
    Done { job: Job, outcome: Outcome },
}

/// The task somebody asks for: shown as an operation log.
pub(crate) fn new(core: &Core, access: &Access, backup: &Backup) -> NewTask {
    let task = order::new(core, access, &first(backup));
    let (operation, vault) = (Some(OperationType::Purge), Some(backup.vault));
    NewTask { operation, vault, ..order::on_deleted(task, backup) }
}

/// The task for what has been in the trash long enough: nobody asked for it, and nobody is shown it.
pub(crate) fn new_due(core: &Core, backup: &Backup) -> NewTask {
    let id = TaskId::random(&*core.random);
    let task = cbr_task::new_task(id, backup.project, &first(backup))
        .expect("stages consist of texts, numbers and lists, which are JSON");
    order::on_deleted(task, backup)
}

fn first(backup: &Backup) -> PurgeBackupTask {
    let versions = content::versions(backup);
    PurgeBackupTask::Mark { job: Job { project: backup.project, backup: backup.id, versions } }
}

#[async_trait]
impl Task for PurgeBackupTask {
    const KIND: &'static str = "purge_backup";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Mark { job } => mark(core, job).await,
            Self::Trash { job, marks } => put(core, run, job, marks).await,
            Self::Purge { job, marks } => purge(core, run, job, marks).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Done { job, outcome: Outcome::Success } => {
                tx.trash().forget(job.project, job.backup).await.map(drop)
            }
            Self::Mark { .. } | Self::Trash { .. } | Self::Purge { .. } | Self::Done { .. } => {
                Ok(())
            }
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Mark { job } | Self::Trash { job, .. } | Self::Purge { job, .. } => {
                Self::Done { job, outcome: Outcome::Failed(failure) }
            }
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Mark { .. } | Self::Trash { .. } | Self::Purge { .. } => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}

async fn mark(core: &Core, job: Job) -> Result<PurgeBackupTask, Trouble> {
    let mut tx = core.db.read().await?;
    let is_there = tx.trash().find(job.project, job.backup).await?.is_some();
    drop(tx);
    // Taken back, or purged by somebody else, before it was this task's turn.
    if !is_there {
        return Ok(PurgeBackupTask::Done { job, outcome: Outcome::Success });
    }
    let marks = trash::marks(core, &job.versions).await?;
    Ok(PurgeBackupTask::Trash { job, marks })
}

async fn put(
    core: &Core,
    run: &TaskContext,
    job: Job,
    marks: Vec<u64>,
) -> Result<PurgeBackupTask, Trouble> {
    trash::put(core, &job.versions, &marks, run.id().to_string()).await?;
    let marks = trash::marks(core, &job.versions).await?;
    Ok(PurgeBackupTask::Purge { job, marks })
}

async fn purge(
    core: &Core,
    run: &TaskContext,
    job: Job,
    marks: Vec<u64>,
) -> Result<PurgeBackupTask, Trouble> {
    trash::purge(core, &job.versions, &marks, run.id().to_string()).await?;
    Ok(PurgeBackupTask::Done { job, outcome: Outcome::Success })
}
