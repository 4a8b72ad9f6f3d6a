//! Makes a server of the disks of an image, once all of them are made (IMG-01, IMG-05).
//!
//! ```text
//!   Wait ──▶ Register ──▶ Done{success}
//!     └─────────┴──▶ Undo ──▶ Done{failed}      of a server that did not come to be no disk stays
//! ```
//! Each disk is made by a task of its own (`create_volume.rs`), at the same time as the others.

use std::time::Duration;

use async_trait::async_trait;
use cbr_db::NewTask;
use cbr_model::backup::Backup;
use cbr_model::operation::{OperationResource, OperationStatus};
use cbr_model::resource::ResourceKind;
use cbr_model::{ProjectId, ResourceId, TaskId};
use cbr_provider::{NewServer, ServerFactory};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::create_volume::delete_each;
use super::order;
use super::trouble::Trouble;
use crate::Access;
use crate::core::Core;
use crate::failure::Code;

/// The kind, for those who look at jobs.
pub(crate) const KIND: &str = CreateServer::KIND;
/// How often the disks are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The server that is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) project: ProjectId,
    /// The system disk first.
    pub(crate) disks: Vec<Disk>,
}

/// A disk, and the task that makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Disk {
    pub(crate) job: TaskId,
    pub(crate) volume: ResourceId,
}

/// The stages of the making of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum CreateServer {
    /// For its disks.
    Wait { spec: Spec },
    /// Make it of them.
    Register { spec: Spec },
    /// Remove them.
    Undo { spec: Spec, failure: Failure },
    /// Over.
    Done { spec: Spec, outcome: Outcome },
}

/// The task that makes the server, whose disks are of `backup`.
pub(crate) fn new(core: &Core, access: &Access, spec: Spec, backup: &Backup) -> NewTask {
    let resource =
        OperationResource { id: spec.id, name: spec.name.clone(), kind: ResourceKind::Server };
    let task = order::new(core, access, &CreateServer::Wait { spec });
    NewTask {
        backup: Some(backup.id),
        vault: Some(backup.vault),
        ..order::on_resource(core, task, resource)
    }
}

impl CreateServer {
    /// What it is about.
    pub(crate) fn into_spec(self) -> Spec {
        let (Self::Wait { spec }
        | Self::Register { spec }
        | Self::Undo { spec, .. }
        | Self::Done { spec, .. }) = self;
        spec
    }
}

#[async_trait]
impl Task for CreateServer {
    const KIND: &'static str = "create_server";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Wait { spec } => look(core, spec).await,
            Self::Register { spec } => register(core, spec).await,
            Self::Undo { spec, failure } => remove(core, spec, failure).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Wait { spec } | Self::Register { spec } => Self::Undo { spec, failure },
            // They may be there still: then their owner deletes them.
            Self::Undo { spec, failure } => Self::Done { spec, outcome: Outcome::Failed(failure) },
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

pub(super) fn server_factory(core: &Core) -> Result<&dyn ServerFactory, Trouble> {
    let factory = core.resources.provider().server_factory();
    factory.ok_or_else(|| Trouble::fail(Code::Unknown, "the provider makes no servers"))
}

/// Waits for all disks; the reason why one of them did not come to be, if so.
async fn ended(core: &Core, spec: &Spec) -> Result<Option<String>, Trouble> {
    let mut tx = core.db.read().await?;
    let mut failed = None;
    for disk in &spec.disks {
        let task = tx.operations().find(spec.project, disk.job).await?;
        let Some(task) = task else {
            let reason = format!("the record of the making of disk {} is gone", disk.volume);
            return Err(Trouble::fail(Code::Unknown, reason));
        };
        match task.status {
            OperationStatus::Waiting | OperationStatus::Running => {
                return Err(Trouble::Wait { after: EVERY });
            }
            OperationStatus::Success => {}
            OperationStatus::Failed | OperationStatus::Timeout | OperationStatus::Skipped => {
                let why = task.error.map_or_else(String::new, |error| error.message);
                failed.get_or_insert(format!("disk {} could not be made: {why}", disk.volume));
            }
        }
    }
    Ok(failed)
}

async fn look(core: &Core, spec: Spec) -> Result<CreateServer, Trouble> {
    match ended(core, &spec).await? {
        None => Ok(CreateServer::Register { spec }),
        Some(reason) => Err(Trouble::fail(Code::Unknown, reason)),
    }
}

async fn register(core: &Core, spec: Spec) -> Result<CreateServer, Trouble> {
    let server = NewServer {
        id: spec.id,
        name: spec.name.clone(),
        volumes: spec.disks.iter().map(|disk| disk.volume).collect(),
    };
    server_factory(core)?.create_server(&server).await?;
    Ok(CreateServer::Done { spec, outcome: Outcome::Success })
}

/// The disks go only when nobody makes them any more.
async fn remove(core: &Core, spec: Spec, failure: Failure) -> Result<CreateServer, Trouble> {
    ended(core, &spec).await?;
    // It may have come to be without our knowing.
    server_factory(core)?.delete_server(spec.id).await?;
    let volumes: Vec<ResourceId> = spec.disks.iter().map(|disk| disk.volume).collect();
    delete_each(core, &volumes).await?;
    Ok(CreateServer::Done { spec, outcome: Outcome::Failed(failure) })
}
