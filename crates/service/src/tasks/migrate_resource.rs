//! Moves one resource with all that is kept of it to another vault (RES-21, RES-27, contract C11).
//!
//! ```text
//!   Move ──▶ Done{success}      everything moves in the transaction that saves this stage
//!     └────▶ Done{failed}       nothing has moved; the resource is what it was
//! ```
//! Meanwhile the resource is shown as being removed, so that nothing else begins with it. Nothing moves
//! in the store: the chain stays what it is, and the next backup builds on the last one.

use async_trait::async_trait;
use cbr_db::{DbError, Move, NewTask, Tx};
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::size::Bytes;
use cbr_model::vault::Vault;
use cbr_model::{CheckpointId, ProjectId, ResourceId, VaultId};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::trouble::Trouble;
use super::{order, rows};
use crate::core::Core;
use crate::error::VaultRefusal;
use crate::failure::Code;
use crate::rules::migration::check_vaults;
use crate::{Access, Error};

/// What the task works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) project: ProjectId,
    pub(crate) resource: ResourceId,
    pub(crate) from: VaultId,
    pub(crate) to: VaultId,
    pub(crate) to_name: String,
    /// What the resource was before: moving it mends nothing.
    #[serde(default = "available")]
    pub(crate) was: ProtectStatus,
}

const fn available() -> ProtectStatus {
    ProtectStatus::Available
}

/// The stages of a move.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum MigrateTask {
    /// Look whether it may still move.
    Move { job: Job },
    /// Over.
    Done { job: Job, outcome: Outcome },
}

/// The task that moves `bound` from one vault to the other.
pub(crate) fn new(
    core: &Core,
    access: &Access,
    from: &Vault,
    to: &Vault,
    bound: &BoundResource,
) -> NewTask {
    let job = Job {
        project: from.project,
        resource: bound.id,
        from: from.id,
        to: to.id,
        to_name: to.name.to_string(),
        was: bound.protect_status,
    };
    let details = details(&job, bound.backup_count);
    let first = MigrateTask::Move { job };
    NewTask {
        resource: Some(OperationResource {
            id: bound.id,
            name: bound.name.clone(),
            kind: bound.kind,
        }),
        details,
        exclusive_key: Some(order::resource_key(bound.id)),
        ..order::new_in_vault(core, access, from, OperationType::Migrate, &first)
    }
}

fn details(job: &Job, backups: u64) -> OperationDetails {
    OperationDetails::Migrate {
        destination_vault_id: job.to.to_string(),
        destination_vault_name: job.to_name.clone(),
        backups,
    }
}

#[async_trait]
impl Task for MigrateTask {
    const KIND: &'static str = "migrate_resource";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        match self {
            Self::Move { job } => look(core, job).await.map_err(|trouble| trouble.at(stage)),
            Self::Done { .. } => Ok(self),
        }
    }

    async fn enter(&self, core: &Core, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Move { .. } => Ok(()),
            Self::Done { job, outcome: Outcome::Success } => {
                let Some(bound) = bound(tx, job).await? else { return Ok(()) };
                let arrived = BoundResource { protect_status: job.was, ..bound };
                let wanted = Move { resource: job.resource, from: job.from, to: job.to };
                let new_run = || CheckpointId::random(&*core.random);
                let moved = tx.migration().apply(wanted, &arrived, new_run).await?;
                tx.tasks().set_details(run.id(), &details(job, moved)).await
            }
            Self::Done { job, .. } => {
                rows::release(tx, job.from, job.resource, ProtectStatus::Removing, job.was).await
            }
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Move { job } => Self::Done { job, outcome: Outcome::Failed(failure) },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Move { .. } => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}

/// The vaults may have changed since the request. From here to the transaction that moves nobody
/// deletes either of them: a vault with this task is busy.
async fn look(core: &Core, job: Job) -> Result<MigrateTask, Trouble> {
    let mut tx = core.db.read().await?;
    let from = tx.vaults().find(job.project, job.from).await?;
    let from = from.ok_or(Error::VaultNotFound(job.from))?;
    let to = tx.vaults().find(job.project, job.to).await?;
    let to = to.ok_or(Error::Vault(VaultRefusal::DestinationNotFound(job.to)))?;
    // What is taken back out of the trash has its room already.
    let coming = tx.trash().coming_back(to.id).await?;
    let to = Vault { used: Bytes(to.used.0.saturating_add(coming.0)), ..to };
    let bound = bound(&mut tx, &job).await?;
    let bound = bound.ok_or(Error::ResourceNotInVault { resource: job.resource })?;
    check_vaults(&from, &to, &[bound]).map_err(|error| {
        let code = match &error {
            Error::VaultStatus { .. } => Code::VaultForbids,
            Error::Vault(VaultRefusal::DestinationFull { .. }) | Error::TooManyResources { .. } => {
                Code::DestinationFull
            }
            Error::VaultNotEditable { .. } => Code::VaultNotEditable,
            _ => Code::Unknown,
        };
        Trouble::fail(code, error.to_string())
    })?;
    Ok(MigrateTask::Done { job, outcome: Outcome::Success })
}

/// The resource, if it is in the vault it is to leave.
async fn bound(tx: &mut Tx, job: &Job) -> Result<Option<BoundResource>, DbError> {
    let binding = tx.bindings().find(job.resource).await?;
    Ok(binding.filter(|binding| binding.vault == job.from).map(|binding| binding.resource))
}
