//! Makes a disk, empty or with the content of a backup (NEW-01 … NEW-06).
//!
//! ```text
//!   Make ──▶ Fill ──▶ Finish ──▶ Done{success}
//!     └───────┴─────────┴──▶ Undo ──▶ Done{failed}      a disk that is not complete does not stay
//! ```
//! The disk is handed over in a stage of its own: once it may have been, nothing writes to it.

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::ResourceId;
use cbr_model::backup::{Backup, StoredVersion};
use cbr_model::operation::OperationResource;
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_provider::{Factory, NewVolume, SnapshotName};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::disk_bytes::Share;
use super::order;
use super::restore::{fill, target};
use super::trouble::Trouble;
use crate::Access;
use crate::core::Core;
use crate::error::chain;
use crate::failure::Code;
use crate::rules::restore::DiskPlan;

/// The kind, for those who look at jobs.
pub(crate) const KIND: &str = CreateVolume::KIND;
/// Per cent when the disk is there.
const MADE: u8 = 10;
const FILLED: u8 = 95;

/// The disk that is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) size: Gib,
    pub(crate) pool: String,
    /// Its first content; none: zeros.
    pub(crate) version: Option<StoredVersion>,
}

/// What a job of the disk service is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) size: Gib,
    pub(crate) pool: String,
}

/// The stages of the making of a disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum CreateVolume {
    /// Make it, empty.
    Make { spec: Spec },
    /// Write its content.
    Fill { spec: Spec },
    /// Hand it over.
    Finish { spec: Spec },
    /// Remove it.
    Undo { spec: Spec, failure: Failure },
    /// Over.
    Done {
        spec: Spec,
        outcome: Outcome,
        /// It is gone again; else it stays its owner's, whatever came of it.
        #[serde(default)]
        removed: bool,
    },
}

/// The task that makes the disk, reading `backup` if it has content.
pub(crate) fn new(core: &Core, access: &Access, spec: Spec, backup: Option<&Backup>) -> NewTask {
    let resource =
        OperationResource { id: spec.id, name: spec.name.clone(), kind: ResourceKind::Volume };
    let task = order::new(core, access, &CreateVolume::Make { spec });
    NewTask {
        // Neither the backup nor its vault may go while they are read.
        backup: backup.map(|backup| backup.id),
        vault: backup.map(|backup| backup.vault),
        ..order::on_resource(core, task, resource)
    }
}

impl CreateVolume {
    /// The pool it is made in, and about how many bytes are still to be written there: what is written
    /// already, as far as `progress` tells, is missing from the pool's free space.
    pub(crate) fn content(&self, progress: u8) -> (&str, u64) {
        let whole = |spec: &Spec| spec.version.as_ref().map_or(0, |it| it.logical_bytes.0);
        match self {
            Self::Make { spec } => (&spec.pool, whole(spec)),
            Self::Fill { spec } => {
                let left = u64::from(FILLED.saturating_sub(progress.max(MADE)));
                (&spec.pool, whole(spec).saturating_mul(left) / u64::from(FILLED - MADE))
            }
            Self::Finish { spec } | Self::Undo { spec, .. } | Self::Done { spec, .. } => {
                (&spec.pool, 0)
            }
        }
    }

    /// What it is about.
    pub(crate) fn into_subject(self) -> Subject {
        let (Self::Make { spec }
        | Self::Fill { spec }
        | Self::Finish { spec }
        | Self::Undo { spec, .. }
        | Self::Done { spec, .. }) = self;
        Subject { id: spec.id, name: spec.name, size: spec.size, pool: spec.pool }
    }
}

#[async_trait]
impl Task for CreateVolume {
    const KIND: &'static str = "create_volume";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Make { spec } => make(core, run, spec).await,
            Self::Fill { spec } => fill_from_backup(core, run, spec).await,
            Self::Finish { spec } => hand_over(core, run, spec).await,
            Self::Undo { spec, failure } => remove(core, run, spec, failure).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Done { spec, removed: true, .. } => {
                tx.disk_owners().delete(spec.id).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Make { spec } | Self::Fill { spec } | Self::Finish { spec } => {
                Self::Undo { spec, failure }
            }
            // It may be there still, with content: then its owner deletes it.
            Self::Undo { spec, failure } => {
                Self::Done { spec, outcome: Outcome::Failed(failure), removed: false }
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

    fn may_cancel(&self) -> bool {
        false
    }
}

pub(super) fn factory(core: &Core) -> Result<&dyn Factory, Trouble> {
    let factory = core.resources.provider().factory();
    factory.ok_or_else(|| Trouble::fail(Code::Unknown, "the provider makes no disks"))
}

/// Deletes these disks. One that is refused keeps no other: what failed is said when all were tried.
pub(super) async fn delete_each(core: &Core, volumes: &[ResourceId]) -> Result<(), Trouble> {
    let mut failures = Vec::new();
    for volume in volumes {
        if let Err(error) = factory(core)?.delete_volume(*volume).await {
            failures.push(error);
        }
    }
    // What may pass is tried again, and the others with it.
    failures.sort_by_key(|error| !error.is_retryable());
    let reasons: Vec<String> = failures.iter().map(|error| chain(error)).collect();
    let reason = reasons.join("; ");
    match failures.into_iter().next().map(Trouble::from) {
        None => Ok(()),
        Some(Trouble::Again { .. }) => Err(Trouble::Again { reason }),
        Some(Trouble::Fail { code, .. }) => Err(Trouble::Fail { code, reason }),
        Some(other @ (Trouble::Wait { .. } | Trouble::Stopped)) => Err(other),
    }
}

async fn make(core: &Core, run: &TaskContext, spec: Spec) -> Result<CreateVolume, Trouble> {
    let volume = NewVolume {
        id: spec.id,
        name: spec.name.clone(),
        description: spec.description.clone(),
        size_bytes: spec.size.bytes().0,
        format: None,
        pool: Some(spec.pool.clone()),
    };
    factory(core)?.create_volume(&volume).await?;
    run.report_progress(MADE);
    Ok(if spec.version.is_some() {
        CreateVolume::Fill { spec }
    } else {
        CreateVolume::Done { spec, outcome: Outcome::Success, removed: false }
    })
}

async fn fill_from_backup(
    core: &Core,
    run: &TaskContext,
    spec: Spec,
) -> Result<CreateVolume, Trouble> {
    if let Some(version) = &spec.version {
        let disk = DiskPlan { version: version.clone(), volume: spec.id };
        fill(core, run, &disk, Share::of(MADE, FILLED, &[version.disk_bytes.0], 0)).await?;
    }
    Ok(CreateVolume::Finish { spec })
}

async fn hand_over(core: &Core, run: &TaskContext, spec: Spec) -> Result<CreateVolume, Trouble> {
    target(core)?.finish(spec.id, &SnapshotName::for_task(run.id())).await?;
    Ok(CreateVolume::Done { spec, outcome: Outcome::Success, removed: false })
}

async fn remove(
    core: &Core,
    run: &TaskContext,
    spec: Spec,
    failure: Failure,
) -> Result<CreateVolume, Trouble> {
    if let Some(target) = core.resources.provider().target() {
        let name = SnapshotName::for_task(run.id());
        // Another machine may have filled half of it. If it cannot be removed, it must not look sound (P1).
        target.condemn(spec.id, &name, &failure.error.message).await?;
    }
    factory(core)?.delete_volume(spec.id).await?;
    Ok(CreateVolume::Done { spec, outcome: Outcome::Failed(failure), removed: true })
}
