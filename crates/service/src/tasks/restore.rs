//! Writes a backup back over the disks it was made of (RST-01 … RST-27, RST-40 … RST-47).
//!
//! ```text
//!   Stop ──▶ Prepare ──▶ Write (once per disk) ──▶ Finish ──▶ Start ──▶ Done{success}
//!     │         │          └─────────┬───────────────┘          │
//!     │         ▼                    ▼                          ▼
//!     │     Withdraw              Abandon ──▶ Done{failed}    Done{failed}: restored, but not started
//!     ▼         ▼
//!   Done{failed}: nothing was written
//! ```
//! No byte is written before all disks may be written, so what is refused costs nothing. A disk is handed back only when all disks are written: until then its content
//! is nobody's, and a restore that fails leaves every disk marked (P1).
//!
//! The marks are kept by the machine that began. One that takes its work over knows of none, so it goes back to `Stop` and marks the disks too before it goes on; if
//! that fails, it condemns them: somebody may have written.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_db::{DbError, EndedTask, NewTask, Tx};
use cbr_model::backup::{Backup, BackupState};
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::resource::{ProtectStatus, ResourceKind};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ProjectId, ResourceId, VaultId};
use cbr_provider::{ProviderError, RestoreTarget, SnapshotName, TaskEnd};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::disk_bytes::{Share, Target as Disk};
use super::trouble::Trouble;
use super::{order, rows};
use crate::Access;
use crate::content::reference;
use crate::core::Core;
use crate::failure::Code;
use crate::rules::restore::{DiskPlan, Target};

const WRITE_FROM: u8 = 5;
const WRITE_TO: u8 = 95;

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) vault: VaultId,
    pub(crate) backup: BackupId,
    pub(crate) resource: ResourceId,
    pub(crate) kind: ResourceKind,
    pub(crate) disks: Vec<DiskPlan>,
    /// RST-07.
    pub(crate) power_on: bool,
    /// The machine that marked the disks and may have written to them. Older releases did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begun_on: Option<String>,
}

impl Job {
    /// Whether the marks of the disks are with another machine, which is gone.
    fn began_elsewhere(&self, core: &Core) -> bool {
        self.begun_on.as_ref().is_some_and(|node| *node != core.node)
    }
}

/// The stages of a restore.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum RestoreTask {
    /// Shut the server down.
    Stop { job: Job },
    /// Make sure that all disks may be written, and mark them.
    Prepare { job: Job },
    /// Write disk `next`.
    Write { job: Job, next: usize },
    /// Hand the disks back.
    Finish { job: Job },
    /// Start the server.
    Start { job: Job },
    /// Nothing was written: take the marks off again, and start the server if that was wished.
    Withdraw { job: Job, failure: Failure },
    /// Mark the disks as unusable.
    Abandon { job: Job, failure: Failure },
    /// Over; `intact`: no disk was left half-written.
    Done { job: Job, outcome: Outcome, intact: bool },
}

/// A restore as the rules have planned it.
pub(crate) struct Order<'a> {
    pub(crate) backup: &'a Backup,
    pub(crate) target: &'a Target,
    pub(crate) disks: Vec<DiskPlan>,
}

/// The task that carries out `wanted`.
pub(crate) fn new(
    core: &Core,
    access: &Access,
    vault: &Vault,
    wanted: Order<'_>,
    power_on: bool,
) -> NewTask {
    let Order { backup, target, disks } = wanted;
    let (target_id, target_name) = match target {
        Target::Volume(disk) => (disk.id, disk.name.clone()),
        Target::Server { id, name, .. } => (*id, name.clone()),
    };
    let job = Job {
        project: backup.project,
        vault: vault.id,
        backup: backup.id,
        resource: backup.resource,
        kind: backup.resource_kind,
        disks,
        power_on,
        begun_on: None,
    };
    let first = RestoreTask::Stop { job };
    let task = order::new_in_vault(core, access, vault, OperationType::Restore, &first);
    let resource = OperationResource {
        id: backup.resource,
        name: backup.resource_name.clone(),
        kind: backup.resource_kind,
    };
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        details: OperationDetails::Restore {
            backup_id: backup.id.to_string(),
            backup_name: backup.name.to_string(),
            target_resource_id: target_id.to_string(),
            target_resource_name: target_name,
        },
        ..order::on_resource(core, task, resource)
    }
}

#[async_trait]
impl Task for RestoreTask {
    const KIND: &'static str = "restore";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Stop { job } => stop(core, run, job).await,
            Self::Prepare { job } => prepare(core, run, job).await,
            Self::Withdraw { job, failure } => withdraw(core, run, job, failure).await,
            Self::Write { job, .. } | Self::Finish { job } if job.began_elsewhere(core) => {
                Ok(Self::Stop { job })
            }
            Self::Write { job, next } => write(core, run, job, next).await,
            Self::Finish { job } => finish(core, run, job).await,
            Self::Start { job } => start(core, job).await,
            Self::Abandon { job, failure } => abandon(core, run, job, failure).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        let Self::Done { job, intact, .. } = self else { return Ok(()) };
        if let Some(backup) = tx.backups().find(job.project, job.backup).await? {
            rows::advance(tx, &backup, &BackupState::end_restore).await?;
        }
        let to = if *intact { ProtectStatus::Available } else { ProtectStatus::Error };
        rows::release(tx, job.vault, job.resource, ProtectStatus::Restoring, to).await
    }

    fn unwind(self, failure: Failure) -> Self {
        let done =
            |job, failure, intact| Self::Done { job, outcome: Outcome::Failed(failure), intact };
        match self {
            // It has written, on a machine that is gone.
            Self::Stop { job } | Self::Prepare { job } if job.begun_on.is_some() => {
                Self::Abandon { job, failure }
            }
            // A server that was told to stop may have done so: nothing is marked yet, but it starts again.
            Self::Stop { job } | Self::Prepare { job } => Self::Withdraw { job, failure },
            Self::Write { job, .. } | Self::Finish { job } => Self::Abandon { job, failure },
            Self::Start { job } => {
                let error = &failure.error;
                let reason = format!(
                    "The disks are restored, but the server did not start: {}",
                    error.message
                );
                done(job, Failure::failed(&error.code, reason), true)
            }
            // The provider is told again by the sweep: then as of a restore that was lost.
            Self::Withdraw { job, failure } | Self::Abandon { job, failure } => {
                done(job, failure, false)
            }
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            _ => None,
        }
    }

    /// RST-23.
    fn may_cancel(&self) -> bool {
        false
    }
}

pub(super) fn target(core: &Core) -> Result<&dyn RestoreTarget, Trouble> {
    let target = core.resources.provider().target();
    target.ok_or_else(|| {
        Trouble::fail(Code::VolumeNotRestorable, "the provider does not let disks be overwritten")
    })
}

/// What became of the disks of a task that is over.
pub(crate) fn end_of_disks(ended: &EndedTask) -> TaskEnd {
    if ended.is_success {
        return TaskEnd::Succeeded;
    }
    let stage = (ended.kind == RestoreTask::KIND).then(|| serde_json::from_str(&ended.stage));
    match stage {
        // They are whole; what failed is the start of their server.
        Some(Ok(RestoreTask::Done { job, intact: true, .. })) if job.begun_on.is_some() => {
            TaskEnd::Succeeded
        }
        Some(Ok(RestoreTask::Done { intact: true, .. })) => TaskEnd::Untouched,
        _ => TaskEnd::Failed,
    }
}

async fn stop(core: &Core, run: &TaskContext, job: Job) -> Result<RestoreTask, Trouble> {
    let target = target(core)?;
    if job.kind == ResourceKind::Server {
        target.power_off(job.resource).await?;
    }
    run.report_progress(WRITE_FROM);
    Ok(RestoreTask::Prepare { job })
}

async fn prepare(core: &Core, run: &TaskContext, mut job: Job) -> Result<RestoreTask, Trouble> {
    let name = SnapshotName::for_task(run.id());
    for disk in &job.disks {
        target(core)?.prepare(disk.volume, disk.version.disk_bytes.0, &name).await?;
    }
    job.begun_on = Some(core.node.clone());
    Ok(RestoreTask::Write { job, next: 0 })
}

async fn withdraw(
    core: &Core,
    run: &TaskContext,
    job: Job,
    mut failure: Failure,
) -> Result<RestoreTask, Trouble> {
    let name = SnapshotName::for_task(run.id());
    let Some(target) = core.resources.provider().target() else {
        // It lets no disk be overwritten, so none was marked.
        return Ok(RestoreTask::Done { job, outcome: Outcome::Failed(failure), intact: true });
    };
    for disk in &job.disks {
        target.withdraw(disk.volume, &name).await?;
    }
    if job.kind == ResourceKind::Server
        && job.power_on
        && let Err(error) = start_again(core, target, job.resource).await
    {
        let first = failure.error.message;
        failure.error.message =
            format!("{first} Nothing was written, but the server did not start again: {error}");
    }
    metrics::counter!("cbr_restores_total", "result" => "failure").increment(1);
    Ok(RestoreTask::Done { job, outcome: Outcome::Failed(failure), intact: true })
}

async fn write(
    core: &Core,
    run: &TaskContext,
    job: Job,
    next: usize,
) -> Result<RestoreTask, Trouble> {
    let Some(disk) = job.disks.get(next) else { return Ok(RestoreTask::Finish { job }) };
    let sizes: Vec<u64> = job.disks.iter().map(|disk| disk.version.disk_bytes.0).collect();
    fill(core, run, disk, Share::of(WRITE_FROM, WRITE_TO, &sizes, next)).await?;
    let next = next + 1;
    if next < job.disks.len() {
        return Ok(RestoreTask::Write { job, next });
    }
    run.report_progress(WRITE_TO);
    Ok(RestoreTask::Finish { job })
}

/// Writes a version over a disk that stays marked as being restored.
pub(super) async fn fill(
    core: &Core,
    run: &TaskContext,
    disk: &DiskPlan,
    share: Share,
) -> Result<(), Trouble> {
    let (target, name) = (target(core)?, SnapshotName::for_task(run.id()));
    target.prepare(disk.volume, disk.version.disk_bytes.0, &name).await?;
    let writer = target.writer(disk.volume, &name).await?;
    let (repository, version) = (Arc::clone(&core.repository), reference(&disk.version));
    let job = share.job(run);
    let stats = spawn_blocking(move || repository.restore(&version, &Disk(writer), &job)).await??;
    metrics::counter!("cbr_restore_written_bytes_total").increment(stats.written_bytes);
    Ok(())
}

async fn finish(core: &Core, run: &TaskContext, job: Job) -> Result<RestoreTask, Trouble> {
    let name = SnapshotName::for_task(run.id());
    for disk in &job.disks {
        target(core)?.finish(disk.volume, &name).await?;
    }
    metrics::counter!("cbr_restores_total", "result" => "success").increment(1);
    Ok(RestoreTask::Start { job })
}

async fn start(core: &Core, job: Job) -> Result<RestoreTask, Trouble> {
    if job.kind == ResourceKind::Server && job.power_on {
        start_again(core, target(core)?, job.resource).await?;
    }
    Ok(RestoreTask::Done { job, outcome: Outcome::Success, intact: true })
}

/// Starts a server if there is something to start it with. Without, a provider could only note that it
/// runs, and nobody could stop it any more, neither to change it nor to back it up.
async fn start_again(
    core: &Core,
    target: &dyn RestoreTarget,
    server: ResourceId,
) -> Result<(), ProviderError> {
    if !core.resources.provider().inventory().server(server).await?.can_power {
        return Ok(());
    }
    target.power_on(server).await
}

async fn abandon(
    core: &Core,
    run: &TaskContext,
    job: Job,
    failure: Failure,
) -> Result<RestoreTask, Trouble> {
    let name = SnapshotName::for_task(run.id());
    for disk in &job.disks {
        let (target, why) = (target(core)?, &failure.error.message);
        if job.began_elsewhere(core) {
            target.condemn(disk.volume, &name, why).await?;
        } else {
            // A disk that was never prepared under this name is left as it is.
            target.abandon(disk.volume, &name, why).await?;
        }
    }
    metrics::counter!("cbr_restores_total", "result" => "failure").increment(1);
    Ok(RestoreTask::Done { job, outcome: Outcome::Failed(failure), intact: false })
}
