//! Deletes all backups of a vault, or of one resource in it, and then the vault or
//! the binding (VLT-61, RES-15).
//!
//! ```text
//!   Erase ──▶ Erase ──▶ … ──▶ Done        one backup per stage
//! ```
//! Where what is deleted can be taken back, a backup goes to the trash: its marks are noted first, in a
//! stage of their own.
//!
//! A backup that cannot be deleted is marked and passed over; in the end the vault
//! or resource is in error, and deleting it again tries again.

use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, BackupState};
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::query::{BackupFilter, Page};
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::vault::{Vault, VaultStatus};
use cbr_model::{BackupId, ProjectId, ResourceId, TaskId, VaultId};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::trouble::Trouble;
use super::{order, rows, trash};
use crate::Access;
use crate::content;
use crate::core::Core;
use crate::error::db;
use crate::failure::Code;

/// How long to wait for a deletion that somebody else has begun.
const OTHERS_PAUSE: Duration = Duration::from_secs(1);

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) vault: VaultId,
    /// Only this resource; none: the whole vault.
    pub(crate) resource: Option<ResourceId>,
    pub(crate) deleted: u64,
    /// Those that could not be deleted.
    pub(crate) failed: Vec<BackupId>,
    /// The backups go to the trash. Nothing that was written before there was one says so.
    #[serde(default)]
    pub(crate) undo: bool,
}

/// The stages of a purge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum PurgeTask {
    /// Free the content of `current` and choose the next; `erased` has none any more.
    Erase {
        job: Job,
        current: Option<BackupId>,
        erased: Option<BackupId>,
        /// How far the logs of deletions had come before `current` was touched.
        #[serde(default)]
        marks: Option<Vec<u64>>,
    },
    /// Over.
    Done { job: Job, erased: Option<BackupId>, outcome: Outcome },
}

/// The task that deletes a vault with everything in it.
pub(crate) fn new_vault_delete(core: &Core, access: &Access, vault: &Vault) -> NewTask {
    let task = new(core, access, vault, None, OperationType::VaultDelete);
    NewTask { exclusive_key: Some(format!("vault:{}", vault.id)), ..task }
}

/// The task that takes a resource out of a vault, once nothing works on it any more (RES-17).
pub(crate) fn new_remove_resource(
    core: &Core,
    access: &Access,
    vault: &Vault,
    bound: &BoundResource,
) -> NewTask {
    NewTask {
        resource: Some(OperationResource {
            id: bound.id,
            name: bound.name.clone(),
            kind: bound.kind,
        }),
        exclusive_key: Some(order::resource_key(bound.id)),
        ..new(core, access, vault, Some(bound.id), OperationType::RemoveResource)
    }
}

/// The same for a vault that was frozen for long enough: nobody asked for it.
pub(crate) fn new_release(core: &Core, vault: &Vault) -> NewTask {
    let (first, details) = first(core, vault, None);
    let id = TaskId::random(&*core.random);
    let task = cbr_task::new_task(id, vault.project, &first)
        .expect("stages consist of texts, numbers and lists, which are JSON");
    NewTask {
        operation: Some(OperationType::VaultDelete),
        vault: Some(vault.id),
        vault_name: Some(vault.name.to_string()),
        details,
        exclusive_key: Some(format!("vault:{}", vault.id)),
        ..task
    }
}

fn new(
    core: &Core,
    access: &Access,
    vault: &Vault,
    resource: Option<ResourceId>,
    operation: OperationType,
) -> NewTask {
    let (first, details) = first(core, vault, resource);
    NewTask { details, ..order::new_in_vault(core, access, vault, operation, &first) }
}

fn first(
    core: &Core,
    vault: &Vault,
    resource: Option<ResourceId>,
) -> (PurgeTask, OperationDetails) {
    let (deleted, failed, undo) = (0, Vec::new(), core.undo_days > 0);
    let job = Job { project: vault.project, vault: vault.id, resource, deleted, failed, undo };
    let details = details(&job);
    (PurgeTask::Erase { job, current: None, erased: None, marks: None }, details)
}

fn details(job: &Job) -> OperationDetails {
    let failed = job.failed.len() as u64;
    match job.resource {
        None => OperationDetails::VaultDelete { total: job.deleted + failed, failed },
        Some(resource) => OperationDetails::RemoveResource {
            resource_id: resource.to_string(),
            backups: job.deleted + failed,
        },
    }
}

#[async_trait]
impl Task for PurgeTask {
    const KIND: &'static str = "purge";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        match self {
            Self::Erase { job, current, marks, .. } => {
                advance(core, run, job, current, marks).await.map_err(|trouble| trouble.at(stage))
            }
            Self::Done { .. } => Ok(self),
        }
    }

    async fn enter(&self, _core: &Core, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        let (Self::Erase { job, erased, .. } | Self::Done { job, erased, .. }) = self;
        if let Some(erased) = erased {
            rows::put_away(tx, job.project, *erased, job.undo).await?;
        }
        for failed in &job.failed {
            let fail = |state: BackupState| state.fail("it could not be deleted".to_owned());
            rows::advance_all(tx, job.project, *failed, &fail).await?;
        }
        match self {
            Self::Erase { current: Some(current), .. } => {
                // One whose task died before it was marked is given up first.
                let lost = |state: BackupState| state.fail("its task is gone".to_owned());
                if let Some(backup) = tx.backups().find(job.project, *current).await?
                    && backup.state == BackupState::Protecting
                {
                    rows::advance_all(tx, job.project, *current, &lost).await?;
                }
                let begin = BackupState::begin_delete;
                rows::advance_all(tx, job.project, *current, &begin).await
            }
            Self::Erase { current: None, .. } => Ok(()),
            Self::Done { job, outcome, .. } => {
                tx.tasks().set_details(run.id(), &details(job)).await?;
                end(tx, job, *outcome == Outcome::Success).await
            }
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Erase { mut job, current: Some(current), .. } => {
                job.failed.push(current);
                Self::Erase { job, current: None, erased: None, marks: None }
            }
            Self::Erase { job, current: None, .. } => {
                Self::Done { job, erased: None, outcome: Outcome::Failed(failure) }
            }
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

/// Erases `current`, if there is one, and chooses what comes next.
async fn advance(
    core: &Core,
    run: &TaskContext,
    mut job: Job,
    current: Option<BackupId>,
    marks: Option<Vec<u64>>,
) -> Result<PurgeTask, Trouble> {
    let mut tx = core.db.read().await?;
    if let Some(current) = current {
        let backup = tx.backups().find(job.project, current).await?;
        if let Some(backup) = &backup
            && rows::is_used(&mut tx, backup, Some(run.id())).await?
        {
            return Err(Trouble::Wait { after: OTHERS_PAUSE });
        }
        drop(tx);
        // Its deletion did not begin: something holds it, an image for one. Nothing of it is touched.
        let is_kept = |backup: &Backup| !matches!(backup.state, BackupState::Deleting { .. });
        if backup.as_ref().is_some_and(is_kept) {
            job.failed.push(current);
            return Ok(PurgeTask::Erase { job, current: None, erased: None, marks: None });
        }
        if let Some(backup) = backup {
            let versions = content::versions(&backup);
            match (job.undo, marks) {
                (false, _) => trash::erase(core, &versions).await?,
                (true, Some(marks)) => {
                    trash::put(core, &versions, &marks, run.id().to_string()).await?;
                }
                (true, None) => {
                    let marks = Some(trash::marks(core, &versions).await?);
                    let current = Some(current);
                    return Ok(PurgeTask::Erase { job, current, erased: None, marks });
                }
            }
            job.deleted += 1;
        }
        tx = core.db.read().await?;
    }
    let left = remaining(&mut tx, &job).await?;
    let is_next = |backup: &&Backup| Some(backup.id) != current && !job.failed.contains(&backup.id);
    let next = left.iter().find(is_next).map(|backup| backup.id);
    let count = left.iter().filter(is_next).count() as u64;
    let percent = job.deleted * 100 / (job.deleted + count + 1);
    run.report_progress(u8::try_from(percent).unwrap_or(99));
    if next.is_some() {
        return Ok(PurgeTask::Erase { job, current: next, erased: current, marks: None });
    }
    let outcome = if job.failed.is_empty() {
        Outcome::Success
    } else {
        let reason = format!("{} backups could not be deleted", job.failed.len());
        Outcome::Failed(Failure::failed(Code::BackupsNotDeletable.as_str(), reason))
    };
    Ok(PurgeTask::Done { job, erased: current, outcome })
}

/// The backups that are left, oldest last: at most a page of them.
async fn remaining(tx: &mut Tx, job: &Job) -> Result<Vec<Backup>, crate::Error> {
    let filter =
        BackupFilter { vault: Some(job.vault), resource: job.resource, ..BackupFilter::default() };
    let listed = tx.backups().list(job.project, &filter, &Page::default()).await;
    Ok(listed.map_err(db("listing backups"))?.rows)
}

/// The vault or the binding goes, or is in error if something is left in it.
async fn end(tx: &mut Tx, job: &Job, is_empty: bool) -> Result<(), DbError> {
    match (job.resource, is_empty) {
        (Some(resource), true) => tx.bindings().delete(job.vault, resource).await.map(drop),
        (Some(resource), false) => {
            let (from, to) = (ProtectStatus::Removing, ProtectStatus::Error);
            rows::release(tx, job.vault, resource, from, to).await
        }
        (None, true) => tx.vaults().delete(job.project, job.vault).await.map(drop),
        (None, false) => {
            let (from, to) = ([VaultStatus::Deleting], VaultStatus::Error);
            tx.vaults().change_status(job.project, job.vault, &from, to).await.map(drop)
        }
    }
}
