//! Makes a backup of one resource, or of an image in a bucket.
//!
//! ```text
//!   Open ──▶ Copy (once per disk) ──▶ Close{sealed} ──▶ Done{success}
//!     │        │                        the backup is available from here on
//!     └────────┴──▶ Undo ──▶ Close{failed} ──▶ Done{failed}
//! ```
//! A server in a database vault is to be backed up while its databases are at rest. As long as nothing can bring them
//! to rest, that fails in `Open`, and the ordinary backup is made instead (VLT-09, DBS-16): from `Copy` on the backup,
//! its log and the cards in the store say so.
//!
//! A snapshot that does not close leaves the backup what it is; the sweep closes it.
//!
//! An image stands still by itself, as far as anybody knows: instead of a snapshot that opens and closes it is
//! looked at before and after. When it cannot be taken in, nothing of the backup remains but the log, so that
//! it can be taken in again under the same id.

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{AppConsistency, Backup, BackupState, Content};
use cbr_model::checkpoint::{Checkpoint, SkippedResource};
use cbr_model::event::EventKind;
use cbr_model::operation::{OperationDetails, OperationError, OperationResource, OperationType};
use cbr_model::resource::{ProtectStatus, ResourceKind};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ChainId, CheckpointId, ProjectId, ResourceId, Timestamp, VaultId};
use cbr_provider::{DiskSelection, SnapshotName};
use cbr_store::ChainRef;
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::disk_bytes::Share;
use super::disk_copy::{DiskCopy, Made, ReadFrom, undo};
use super::image::{self, Image};
use super::order::Origin;
use super::trouble::Trouble;
use super::{databases, order, rows};
use crate::alarms::{NewEvent, note_usage};
use crate::card::{
    AccountCard, BackupCard, Card, CheckpointCard, DiskCard, ResourceCard, VaultCard,
};
use crate::content::disk_chain;
use crate::core::Core;
use crate::error::db;
use crate::failure::Code;
use crate::rules::selection::{self, Taken};
use crate::{Error, anomalies, backups, retention, vaults};

/// Per cent reached when the snapshot is open: below 10 (BAK-11).
pub(crate) const OPENED: u8 = 9;
/// Per cent from which bytes are copied.
const COPY_FROM: u8 = 10;
/// Per cent when everything is copied.
const COPY_TO: u8 = 98;

/// What the task works on; the same in all its stages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) vault: VaultId,
    pub(crate) checkpoint: CheckpointId,
    pub(crate) backup: BackupId,
    pub(crate) resource: ResourceId,
    pub(crate) kind: ResourceKind,
    pub(crate) chain: ChainId,
    pub(crate) epoch: u32,
    /// In the resource's order.
    pub(crate) disks: Vec<JobDisk>,
    pub(crate) created_at: Timestamp,
    /// When a policy had it due. Tasks of older versions do not say.
    #[serde(default)]
    pub(crate) due_at: Option<Timestamp>,
    /// Where the only disk is read from; none: from a snapshot of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<Image>,
    /// What came of the wish for a database backup; none: the vault has none, or the server was not asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) app_consistency: Option<AppConsistency>,
}

/// How a run wants a backup to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    /// Who wants it.
    pub(crate) origin: Origin<'a>,
    /// It shares nothing with what there is.
    pub(crate) is_full: bool,
    /// When a policy had it due.
    pub(crate) due_at: Option<Timestamp>,
    /// Not before this time.
    pub(crate) run_at: Timestamp,
}

/// One disk to be backed up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct JobDisk {
    /// Its backup: the job's own for a volume, a child for a server's disk.
    pub(crate) backup: BackupId,
    pub(crate) volume: ResourceId,
}

/// How the making ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// Every disk has its version, in the order of the job's disks.
    Sealed(Vec<Made>),
    /// Nothing is left of it.
    Failed(Failure),
}

/// The stages of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum BackupTask {
    /// Freeze the resource.
    Open { job: Job },
    /// Copy the disk after the ones in `made`.
    Copy { job: Job, made: Vec<Made> },
    /// Free what a failed attempt stored.
    Undo { job: Job, failure: Failure },
    /// Let the snapshot go.
    Close { job: Job, end: End },
    /// Over.
    Done { job: Job, outcome: Outcome },
}

/// The task that makes `backup` of a resource a run has taken.
pub(crate) fn new(
    core: &Core,
    vault: &Vault,
    backup: &Backup,
    taken: &Taken,
    manner: Manner<'_>,
) -> NewTask {
    let bound = &taken.bound;
    // An independent full shares nothing with what there is (BAK-38, BAK-39).
    let epoch = bound.epoch + u32::from(manner.is_full && bound.backup_count > 0);
    let own = JobDisk { backup: backup.id, volume: backup.resource };
    let children = backup.children.iter();
    let disks = match backup.resource_kind {
        ResourceKind::Volume | ResourceKind::Native => vec![own],
        ResourceKind::Server => {
            children.map(|child| JobDisk { backup: child.id, volume: child.resource }).collect()
        }
    };
    let job = Job {
        project: backup.project,
        vault: vault.id,
        checkpoint: backup.checkpoint,
        backup: backup.id,
        resource: backup.resource,
        kind: backup.resource_kind,
        chain: bound.chain,
        epoch,
        disks,
        created_at: backup.created_at,
        due_at: manner.due_at,
        image: None,
        app_consistency: None,
    };
    let first = BackupTask::Open { job };
    let task = order::new_in_vault(core, manner.origin, vault, OperationType::Backup, &first);
    let resource = OperationResource {
        id: backup.resource,
        name: backup.resource_name.clone(),
        kind: backup.resource_kind,
    };
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        details: details(backup, None),
        run_at: manner.run_at,
        ..order::on_resource(core, task, resource)
    }
}

/// The log of a resource that a run left out (TSK-08).
pub(crate) fn skipped(
    core: &Core,
    origin: Origin<'_>,
    vault: &Vault,
    checkpoint: &Checkpoint,
    skipped: &SkippedResource,
) -> (NewTask, OperationError) {
    let (log, error) = left_out(core, origin, vault, skipped, checkpoint.created_at);
    (NewTask { checkpoint: Some(checkpoint.id), ..log }, error)
}

/// The log of a resource that was left out `at` that time, also where no run came of it.
pub(crate) fn left_out(
    core: &Core,
    origin: Origin<'_>,
    vault: &Vault,
    skipped: &SkippedResource,
    at: Timestamp,
) -> (NewTask, OperationError) {
    let error = OperationError { code: skipped.code.clone(), message: skipped.reason.clone() };
    let job = Job {
        project: origin.project,
        vault: vault.id,
        checkpoint: CheckpointId::from_uuid(skipped.id.as_uuid()),
        backup: BackupId::from_uuid(skipped.id.as_uuid()),
        resource: skipped.id,
        kind: skipped.kind,
        chain: ChainId::from_uuid(skipped.id.as_uuid()),
        epoch: 0,
        disks: Vec::new(),
        created_at: at,
        due_at: None,
        image: None,
        app_consistency: None,
    };
    let only = BackupTask::Done { job, outcome: Outcome::Skipped(error.clone()) };
    let task = order::new_in_vault(core, origin, vault, OperationType::Backup, &only);
    let resource =
        OperationResource { id: skipped.id, name: skipped.name.clone(), kind: skipped.kind };
    (NewTask { resource: Some(resource), ..task }, error)
}

fn details(backup: &Backup, incremental: Option<bool>) -> OperationDetails {
    OperationDetails::Backup {
        backup_id: backup.id.to_string(),
        backup_name: backup.name.to_string(),
        incremental,
        app_consistency: backup.app_consistency.clone(),
    }
}

#[async_trait]
impl Task for BackupTask {
    const KIND: &'static str = "backup";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Open { job } => open(core, run, job).await,
            Self::Copy { job, made } => copy(core, run, job, made).await,
            Self::Undo { job, failure } => undo_all(core, run, job, failure).await,
            Self::Close { job, end } => close(core, run, job, end).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, core: &Core, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Close { job, end: End::Sealed(made) } => seal(core, run, tx, job, made).await,
            Self::Close { job, end: End::Failed(failure) } => {
                let reason = &failure.error.message;
                failed(tx, job, reason).await?;
                if job.image.is_some() {
                    image::not_taken_in(tx, run, job).await?;
                } else {
                    let fail = |state: BackupState| state.fail(reason.clone());
                    rows::advance_all(tx, job.project, job.backup, &fail).await?;
                }
                retention::check(tx, job.project, (job.vault, job.resource), false).await?;
                release(tx, job).await
            }
            Self::Copy { job, made } if made.is_empty() => opened(run, tx, job).await,
            Self::Open { .. } | Self::Copy { .. } | Self::Undo { .. } | Self::Done { .. } => Ok(()),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Open { job } | Self::Copy { job, .. } => Self::Undo { job, failure },
            // What could not be freed now, the sweep frees.
            Self::Undo { job, failure } => Self::Close { job, end: End::Failed(failure) },
            // The outcome is decided; a snapshot that does not close is left to the sweep.
            Self::Close { job, end } => Self::Done { job, outcome: outcome(end) },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            _ => None,
        }
    }

    fn may_cancel(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Copy { .. })
    }
}

fn outcome(end: End) -> Outcome {
    match end {
        End::Sealed(_) => Outcome::Success,
        End::Failed(failure) => Outcome::Failed(failure),
    }
}

async fn open(core: &Core, run: &TaskContext, mut job: Job) -> Result<BackupTask, Trouble> {
    // VLT-80: what counts is the moment at which the backup starts.
    let mut tx = core.db.read().await?;
    let vault = vaults::existing(&mut tx, job.project, job.vault).await?;
    drop(tx);
    selection::check_vault(&vault)?;
    if let Some(image) = &job.image {
        image.confirm(core, job.project).await?;
        run.report_progress(OPENED);
        return Ok(BackupTask::Copy { job, made: Vec::new() });
    }
    let disks = match job.kind {
        ResourceKind::Volume | ResourceKind::Native => DiskSelection::All,
        ResourceKind::Server => {
            DiskSelection::Only(job.disks.iter().map(|disk| disk.volume).collect())
        }
    };
    job.app_consistency = databases::bring_to_rest(core, &vault, (job.kind, job.resource)).await?;
    let name = SnapshotName::for_task(run.id());
    core.resources.provider().source().open(job.resource, &disks, &name).await?;
    run.report_progress(OPENED);
    Ok(BackupTask::Copy { job, made: Vec::new() })
}

async fn copy(
    core: &Core,
    run: &TaskContext,
    job: Job,
    mut made: Vec<Made>,
) -> Result<BackupTask, Trouble> {
    let index = made.len();
    let sizes = sizes(core, run, &job).await?;
    if let Some(disk) = job.disks.get(index) {
        let copy = DiskCopy {
            core,
            run,
            from: match &job.image {
                Some(image) => ReadFrom::Image(job.project, image),
                None => ReadFrom::Snapshot(disk.volume),
            },
            chain: chain(&job, disk),
            share: Share::of(COPY_FROM, COPY_TO, &sizes, index),
        };
        let card = card(core, &job, index).await?;
        made.push(copy.run(card).await?);
    }
    if made.len() < job.disks.len() {
        return Ok(BackupTask::Copy { job, made });
    }
    run.report_progress(COPY_TO);
    Ok(BackupTask::Close { job, end: End::Sealed(made) })
}

/// How large the job's disks are.
async fn sizes(core: &Core, run: &TaskContext, job: &Job) -> Result<Vec<u64>, Trouble> {
    if let Some(image) = &job.image {
        return Ok(vec![image.disk_bytes()]);
    }
    let name = SnapshotName::for_task(run.id());
    let in_snapshot = core.resources.provider().source().disks(&name).await?;
    let mut sizes = Vec::with_capacity(job.disks.len());
    for disk in &job.disks {
        let found = in_snapshot.iter().find(|found| found.volume == disk.volume);
        let found = found.ok_or_else(|| {
            Trouble::fail(Code::VolumeNotFound, format!("disk {} is not there", disk.volume))
        })?;
        sizes.push(found.size_bytes);
    }
    Ok(sizes)
}

fn chain(job: &Job, disk: &JobDisk) -> ChainRef {
    disk_chain(job.project, job.chain, job.kind, job.epoch, disk.volume)
}

/// The card of disk `index`, but for whether its version builds on another.
async fn card(
    core: &Core,
    job: &Job,
    index: usize,
) -> Result<impl FnOnce(bool) -> Card + Send + use<>, Error> {
    let mut tx = core.db.read().await.map_err(db("writing a card"))?;
    let vault = vaults::existing(&mut tx, job.project, job.vault).await?;
    let checkpoint = tx.checkpoints().find(job.project, job.checkpoint).await;
    let checkpoint = checkpoint
        .map_err(db("reading a checkpoint"))?
        .ok_or(Error::CheckpointNotFound(job.checkpoint))?;
    let backup = backups::existing(&mut tx, job.project, job.backup).await?;
    let project = tx.projects().find(job.project).await.map_err(db("reading a project"))?;
    let project = project.ok_or(Error::ProjectNotFound(job.project))?;
    let domain = tx.domains().find(project.domain).await.map_err(db("reading a domain"))?;
    let domain = domain.ok_or_else(|| Error::internal("reading a domain")("it is gone"))?;
    let bound = vault.resources.iter().find(|bound| bound.id == job.resource);
    let owner = tx.disk_owners().find(job.resource).await.map_err(db("reading a disk's owner"))?;
    let resource = ResourceCard {
        id: job.resource,
        kind: job.kind,
        name: backup.resource_name.clone(),
        size: backup.resource_size,
        az: backup.resource_az.clone(),
        exclude_volumes: bound.map(|bound| bound.exclude_volumes.clone()).unwrap_or_default(),
        include_volumes: bound.map(|bound| bound.include_volumes.clone()).unwrap_or_default(),
        auto_protect: bound.is_some_and(|bound| bound.auto_protect),
        chain: job.chain,
        epoch: job.epoch,
        // Of what is elsewhere only the id may be the same as of a disk here.
        is_own: owner == Some(job.project) && job.image.is_none(),
    };
    let id = job.disks[index].backup;
    let count = job.disks.len();
    let disk = backup.children.iter().find(|child| child.id == id).cloned();
    Ok(move |incremental| Card {
        layout: Card::LAYOUT,
        account: AccountCard::new(&domain, &project),
        vault: VaultCard::new(&vault),
        resource,
        checkpoint: CheckpointCard::new(&checkpoint),
        disk: disk.map(|disk| DiskCard::new(&disk, index, count, incremental)),
        backup: BackupCard::new(&backup, incremental),
    })
}

async fn undo_all(
    core: &Core,
    run: &TaskContext,
    job: Job,
    failure: Failure,
) -> Result<BackupTask, Trouble> {
    for disk in &job.disks {
        undo(core, chain(&job, disk), run.id()).await?;
    }
    Ok(BackupTask::Close { job, end: End::Failed(failure) })
}

async fn close(core: &Core, run: &TaskContext, job: Job, end: End) -> Result<BackupTask, Trouble> {
    let result = if matches!(end, End::Sealed(_)) { "success" } else { "failure" };
    metrics::counter!("cbr_backups_total", "result" => result).increment(1);
    if job.image.is_none() {
        let name = SnapshotName::for_task(run.id());
        core.resources.provider().source().close(&name).await?;
        // What is taken in was made at another time, elsewhere: how long that took, nobody knows.
        let micros = core.clock.now().micros_since(job.created_at);
        metrics::histogram!("cbr_backup_seconds", "result" => result).record(micros as f64 / 1e6);
    }
    Ok(BackupTask::Done { job, outcome: outcome(end) })
}

/// What became of a database backup is said as soon as it is known, also if the ordinary one then fails. The cards in
/// the store and the log say what the backup's row says.
async fn opened(run: &TaskContext, tx: &mut Tx, job: &Job) -> Result<(), DbError> {
    let Some(what) = &job.app_consistency else { return Ok(()) };
    tx.backups().set_app_consistency(job.backup, what).await?;
    let Some(backup) = tx.backups().find(job.project, job.backup).await? else { return Ok(()) };
    tx.tasks().set_details(run.id(), &details(&backup, None)).await
}

/// The backup becomes available, whole and at once.
async fn seal(
    core: &Core,
    run: &TaskContext,
    tx: &mut Tx,
    job: &Job,
    made: &[Made],
) -> Result<(), DbError> {
    let before = tx.vaults().find(job.project, job.vault).await?;
    let Some(mut backup) = tx.backups().find(job.project, job.backup).await? else {
        return Ok(());
    };
    let now = tx.now();
    backup.incremental = made.iter().any(|made| made.incremental);
    backup.protected_at = Some(now);
    for child in &mut backup.children {
        let at = job.disks.iter().position(|disk| disk.backup == child.id);
        let Some(made) = at.and_then(|at| made.get(at)) else { continue };
        child.incremental = made.incremental;
        child.protected_at = Some(now);
        let content = Content::Disk(made.version.clone());
        rows::advance(tx, child, &|state| state.seal(content.clone())).await?;
    }
    let content = match (job.kind, made) {
        (ResourceKind::Volume | ResourceKind::Native, [made, ..]) => {
            Content::Disk(made.version.clone())
        }
        _ => Content::Server,
    };
    rows::advance(tx, &backup, &|state| state.seal(content.clone())).await?;
    let details = match job.image {
        Some(_) => image::taken_in(&backup, 1),
        None => details(&backup, Some(backup.incremental)),
    };
    tx.tasks().set_details(run.id(), &details).await?;
    if let Some(before) = before {
        settle(core, tx, job, before).await?;
    }
    if job.image.is_some() {
        // No policy backs it up, and no disk of this machine was backed up.
    } else if backup.incremental {
        if backup.auto_trigger {
            tx.schedules().note_incremental(job.chain).await?;
        }
    } else {
        tx.schedules().note_full(job.chain, job.due_at.unwrap_or(job.created_at)).await?;
    }
    let figures = anomalies::figures(made.iter().map(|made| &made.version));
    anomalies::look(tx, &backup, job.chain, figures).await?;
    retention::check(tx, job.project, (job.vault, job.resource), true).await?;
    if job.image.is_none() {
        core.note_success(job.resource, now);
    }
    release(tx, job).await
}

/// MON-08: somebody is to hear of it.
async fn failed(tx: &mut Tx, job: &Job, reason: &str) -> Result<(), DbError> {
    let backup = tx.backups().find(job.project, job.backup).await?;
    let event = NewEvent {
        project: job.project,
        kind: EventKind::BackupFailed,
        vault: Some(job.vault),
        resource: Some(job.resource.to_string()),
        resource_name: backup.map(|backup| backup.resource_name).unwrap_or_default(),
        detail: reason.to_owned(),
    };
    event.raise(tx).await
}

/// The vault grows if it may and must (VLT-73); the resource remembers its newest epoch.
async fn settle(core: &Core, tx: &mut Tx, job: &Job, before: Vault) -> Result<(), DbError> {
    let Some(after) = tx.vaults().find(job.project, job.vault).await? else { return Ok(()) };
    vaults::grow(core, tx, &before, &after).await?;
    // It may just have grown.
    if let Some(grown) = tx.vaults().find(job.project, job.vault).await? {
        note_usage(tx, std::slice::from_ref(&grown)).await?;
    }
    if let Some(bound) = after.resources.iter().find(|bound| bound.id == job.resource)
        && bound.chain == job.chain
        && bound.epoch < job.epoch
    {
        let mut bound = bound.clone();
        bound.epoch = job.epoch;
        tx.bindings().update(job.vault, &bound).await?;
    }
    Ok(())
}

async fn release(tx: &mut Tx, job: &Job) -> Result<(), DbError> {
    let (from, to) = (ProtectStatus::Protecting, ProtectStatus::Available);
    rows::release(tx, job.vault, job.resource, from, to).await
}
