//! Takes in what the buckets of a project have that is not here yet (contract C26).
//!
//! ```text
//!   Look ──▶ Take ──▶ Take ──▶ … ──▶ Done      one import per stage, each a task of its own
//! ```
//! What is found in a bucket is told by sidecars. One that is bad is counted and passed over: the log names it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::operation::{OperationDetails, OperationStatus, OperationType};
use cbr_model::vault::Vault;
use cbr_model::{ProjectId, TaskId, VaultId};
use cbr_provider::Bucket;
use cbr_provider::bucket::{BucketError, ObjectPath};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::image::Image;
use super::order;
use super::order::Origin;
use super::trouble::Trouble;
use crate::core::Core;
use crate::error::{chain, db};
use crate::failure::Code;
use crate::imports::{
    Begin, NewImport, Place, SIDECAR_BYTES_MAX, SIDECAR_SUFFIX, SIDECARS_MAX, Sidecar, look, place,
    write,
};
use crate::{Access, Error, vaults};

/// How long to wait before looking again how far an import is.
const PAUSE: Duration = Duration::from_secs(1);
/// So many bad sidecars the log names.
const PROBLEMS_MAX: usize = 10;
/// A problem is told in so many characters at most.
const PROBLEM_CHARS_MAX: usize = 300;

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    project: ProjectId,
    vault: VaultId,
    is_automatic: bool,
}

/// A sidecar, and where it lies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spot {
    bucket: String,
    path: ObjectPath,
}

/// An import that was begun.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    task: TaskId,
    spot: Spot,
    item: NewImport,
    image: Image,
}

/// What became of the sidecars so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    total: u64,
    taken_in: u64,
    failed: u64,
    /// The first of those that failed, and why.
    problems: Vec<String>,
}

/// The stages of a synchronisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum SyncTask {
    /// Look what the buckets have.
    Look { job: Job },
    /// Wait for the import that began, then begin the next.
    Take { job: Job, left: Vec<Spot>, begun: Option<Box<Begun>>, tally: Tally },
    /// Over.
    Done { job: Job, tally: Tally, outcome: Outcome },
}

/// Of the synchronisations of a vault one is at work, and no other waits for it.
pub(crate) fn key(vault: VaultId) -> String {
    format!("sync:{vault}")
}

/// The task that synchronises `vault`.
pub(crate) fn new(core: &Core, access: &Access, vault: &Vault, is_automatic: bool) -> NewTask {
    let job = Job { project: vault.project, vault: vault.id, is_automatic };
    let task =
        order::new_in_vault(core, access, vault, OperationType::Sync, &SyncTask::Look { job });
    NewTask {
        details: Tally::default().details(),
        exclusive_key: Some(key(vault.id)),
        node: Some(core.node.clone()),
        ..task
    }
}

impl Tally {
    const fn details(&self) -> OperationDetails {
        let (backup_id, backup_name) = (None, None);
        let (taken_in, failed) = (self.taken_in, self.failed);
        OperationDetails::Sync { backup_id, backup_name, taken_in, failed }
    }

    fn fail(&mut self, spot: &Spot, why: &str) {
        self.failed += 1;
        if self.problems.len() < PROBLEMS_MAX {
            let text = format!("{}: {}: {why}", spot.bucket, spot.path);
            self.problems.push(text.chars().take(PROBLEM_CHARS_MAX).collect());
        }
    }

    /// How the task ends: well, only if nothing was passed over.
    fn outcome(&self) -> Outcome {
        if self.failed == 0 && self.problems.is_empty() {
            return Outcome::Success;
        }
        let unnamed = self.failed.saturating_sub(self.problems.len() as u64);
        let more = if unnamed > 0 { format!("; and {unnamed} more") } else { String::new() };
        let reason = format!(
            "{} backups were taken in, {} could not be: {}{more}. Correct or remove them and \
             synchronise again.",
            self.taken_in,
            self.failed,
            self.problems.join("; ")
        );
        Outcome::Failed(Failure::failed(Code::ImageUnusable.as_str(), reason))
    }
}

#[async_trait]
impl Task for SyncTask {
    const KIND: &'static str = "sync";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Look { job } => list(core, job).await,
            Self::Take { job, left, begun, tally } => {
                take(core, run, job, left, begun, tally).await
            }
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, core: &Core, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Look { .. } => Ok(()),
            Self::Take { job, begun, tally, .. } => {
                tx.tasks().set_details(run.id(), &tally.details()).await?;
                let Some(begun) = begun else { return Ok(()) };
                let Some(vault) = tx.vaults().find(job.project, job.vault).await? else {
                    return Ok(());
                };
                let import = Begin {
                    origin: Origin::policy(job.project, None),
                    vault: &vault,
                    item: &begun.item,
                    image: begun.image.clone(),
                    is_automatic: job.is_automatic,
                    task: Some(begun.task),
                };
                write(core, tx, &import).await?;
                core.wake();
                Ok(())
            }
            Self::Done { tally, .. } => tx.tasks().set_details(run.id(), &tally.details()).await,
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Look { job } => {
                let (tally, outcome) = (Tally::default(), Outcome::Failed(failure));
                Self::Done { job, tally, outcome }
            }
            // An import that was begun goes on by itself.
            Self::Take { job, tally, .. } => {
                Self::Done { job, tally, outcome: Outcome::Failed(failure) }
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
}

async fn list(core: &Core, job: Job) -> Result<SyncTask, Trouble> {
    let mut left: Vec<Spot> = Vec::new();
    let mut is_cut = false;
    for one in core.buckets.of(job.project) {
        let (bucket, room) = (Arc::clone(&one.bucket), SIDECARS_MAX - left.len());
        let found = spawn_blocking(move || bucket.list(SIDECAR_SUFFIX, room)).await??;
        is_cut |= found.is_cut;
        let spot = |path| Spot { bucket: one.name.clone(), path };
        left.extend(found.paths.into_iter().map(spot));
    }
    let mut tally = Tally { total: left.len() as u64, ..Tally::default() };
    if is_cut {
        tally.problems.push(format!(
            "not all of the buckets was looked at: {SIDECARS_MAX} sidecars, 10000 directories and 8 levels are \
             the limit of one synchronisation"
        ));
    }
    // The last is taken first.
    left.reverse();
    Ok(SyncTask::Take { job, left, begun: None, tally })
}

async fn take(
    core: &Core,
    run: &TaskContext,
    job: Job,
    mut left: Vec<Spot>,
    begun: Option<Box<Begun>>,
    mut tally: Tally,
) -> Result<SyncTask, Trouble> {
    if let Some(begun) = begun {
        settle(core, &job, &begun, &mut tally).await?;
    }
    let vault = {
        let mut tx = core.db.read().await?;
        vaults::existing(&mut tx, job.project, job.vault).await?
    };
    while let Some(spot) = left.pop() {
        if run.is_cancelled() {
            return Err(Trouble::Stopped);
        }
        let done = tally.total.saturating_sub(left.len() as u64 + 1);
        let percent = done * 100 / tally.total.max(1);
        run.report_progress(u8::try_from(percent.min(99)).unwrap_or(99));
        match new_import(core, &job, &vault, &spot).await? {
            Ok(None) => {}
            Ok(Some((item, image))) => {
                let task = TaskId::random(&*core.random);
                let begun = Some(Box::new(Begun { task, spot, item, image }));
                return Ok(SyncTask::Take { job, left, begun, tally });
            }
            Err(why) => tally.fail(&spot, &why),
        }
    }
    let outcome = tally.outcome();
    Ok(SyncTask::Done { job, tally, outcome })
}

/// Counts what became of an import; waits for it.
async fn settle(core: &Core, job: &Job, begun: &Begun, tally: &mut Tally) -> Result<(), Trouble> {
    let mut tx = core.db.read().await?;
    let found = tx.operations().find(job.project, begun.task).await?;
    drop(tx);
    match found {
        Some(log) if !log.status.is_final() => return Err(Trouble::Wait { after: PAUSE }),
        Some(log) if log.status == OperationStatus::Success => tally.taken_in += 1,
        Some(log) => {
            let why = log.error.map_or_else(|| "it failed".to_owned(), |error| error.message);
            tally.fail(&begun.spot, &why);
        }
        // Its vault went before it began.
        None => tally.fail(&begun.spot, "it did not begin"),
    }
    Ok(())
}

/// What a sidecar describes, if it is not here yet; else what is wrong with it.
async fn new_import(
    core: &Core,
    job: &Job,
    vault: &Vault,
    spot: &Spot,
) -> Result<Result<Option<(NewImport, Image)>, String>, Trouble> {
    let Some(bucket) = core.buckets.find(job.project, &spot.bucket) else {
        return Ok(Err("the bucket is no longer the project's".to_owned()));
    };
    let bytes = match read(bucket, spot.path.clone()).await? {
        Ok(bytes) => bytes,
        Err(error @ BucketError::Unreachable(_)) => return Err(error.into()),
        Err(error) => return Ok(Err(chain(&error))),
    };
    let item = match Sidecar::read(&spot.bucket, &spot.path, &bytes, core.clock.now()) {
        Ok(item) => item,
        Err(why) => return Ok(Err(why)),
    };
    let mut tx = core.db.read().await.map_err(db("looking for a backup"))?;
    let placed = place(&mut tx, job.project, &item, Some(vault)).await;
    drop(tx);
    let placed = match placed {
        Ok(Place::Here(_)) => return Ok(Ok(None)),
        Ok(Place::New(_)) => look(core, job.project, &item).await,
        Err(error) => Err(error),
    };
    match placed {
        Ok(image) => Ok(Ok(Some((item, image)))),
        Err(Error::Import(error)) if !error.is_passing() => Ok(Err(chain(&error))),
        Err(error) => Err(error.into()),
    }
}

async fn read(
    bucket: Arc<dyn Bucket>,
    path: ObjectPath,
) -> Result<Result<Vec<u8>, BucketError>, Trouble> {
    Ok(spawn_blocking(move || bucket.read(&path, SIDECAR_BYTES_MAX)).await?)
}
