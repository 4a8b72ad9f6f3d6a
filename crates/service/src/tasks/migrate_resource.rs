//! Moves one resource with all that is kept of it to another vault (RES-21, RES-27, contract C11).
//!
//! ```text
//!   Move ──▶ Moved ──▶ Done{success}   everything moves in the transaction that saves `Moved`; what follows is a
//!     └────▶ Done{failed}              note in the store. Or nothing has moved; the resource is what it was
//! ```
//! Before that the resource is shown as being removed, so that nothing else begins with it. Nothing moves
//! in the store: the chain stays what it is, and the next backup builds on the last one. Until there is one only
//! the note tells a rebuild of a lost database where the resource is (P8, docs/adr/0032). It comes after the
//! transaction, so that it never says what did not happen; and the next move waits for this task, so that notes are in
//! the order of the moves.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_db::{DbError, Move, NewTask, Tx};
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::size::Bytes;
use cbr_model::vault::Vault;
use cbr_model::{CheckpointId, ProjectId, ResourceId, Timestamp, VaultId};
use cbr_store::Error as StoreError;
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::trouble::Trouble;
use super::{order, rows};
use crate::card::{MovedCard, NoteCard, VaultCard};
use crate::core::Core;
use crate::error::VaultRefusal;
use crate::failure::Code;
use crate::rules::migration::{check_databases, check_vaults};
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

/// What moved that has its content in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Where the newest backup lies.
    pub(crate) tenant: Uuid,
    /// When that was ordered.
    pub(crate) newest: Timestamp,
}

/// The stages of a move.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum MigrateTask {
    /// Look whether it may still move.
    Move { job: Job },
    /// It has moved; note it in the store.
    Moved { job: Job, kept: Option<Kept> },
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

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Move { job } => look(core, job).await,
            Self::Moved { job, kept } => note(core, run, job, kept).await,
            Self::Done { .. } => return Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    async fn enter(&self, core: &Core, run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Move { .. } | Self::Done { outcome: Outcome::Success, .. } => Ok(()),
            Self::Moved { job, .. } => {
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
            Self::Moved { job, .. } => {
                // Everything has moved. Only a database that is lost before the next backup brings it back.
                tracing::warn!(resource = %job.resource, ?failure, "a move is not noted in the store");
                Self::Done { job, outcome: Outcome::Success }
            }
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Move { .. } | Self::Moved { .. } => None,
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
    let has_app_consistent = tx.migration().has_app_consistent(job.from, job.resource).await?;
    let checked = check_vaults(&from, &to, &[bound]);
    checked.and_then(|()| check_databases(&to, has_app_consistent)).map_err(|error| {
        let code = match &error {
            Error::VaultStatus { .. } => Code::VaultForbids,
            Error::Vault(VaultRefusal::DestinationFull { .. }) | Error::TooManyResources { .. } => {
                Code::DestinationFull
            }
            Error::Vault(VaultRefusal::NotForDatabases(_)) => Code::NotForDatabases,
            Error::VaultNotEditable { .. } => Code::VaultNotEditable,
            _ => Code::Unknown,
        };
        Trouble::fail(code, error.to_string())
    })?;
    let kept = tx.migration().kept(job.from, job.resource).await?;
    let newest = kept.into_iter().max_by_key(|disk| disk.created_at);
    let kept = newest.map(|disk| Kept { tenant: disk.version.tenant, newest: disk.created_at });
    Ok(MigrateTask::Moved { job, kept })
}

/// Keeps in the store where the resource is now. Of what has no content there nothing comes back, and nothing is kept.
async fn note(
    core: &Core,
    run: &TaskContext,
    job: Job,
    kept: Option<Kept>,
) -> Result<MigrateTask, Trouble> {
    let mut tx = core.db.read().await?;
    let to = tx.vaults().find(job.project, job.to).await?;
    drop(tx);
    if let (Some(Kept { tenant, newest }), Some(to)) = (kept, to) {
        let (resource, from) = (job.resource, job.from);
        let moved = MovedCard { resource, from, to: VaultCard::new(&to), newest };
        let (content, owner) = (NoteCard::moved(moved).encode(), run.id().to_string());
        let repository = Arc::clone(&core.repository);
        let note = move || repository.note(tenant, resource.as_uuid(), &owner, &content);
        match spawn_blocking(note).await? {
            // There is nothing any more that could come back.
            Ok(()) | Err(StoreError::Shredded { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(MigrateTask::Done { job, outcome: Outcome::Success })
}

/// The resource, if it is in the vault it is to leave.
async fn bound(tx: &mut Tx, job: &Job) -> Result<Option<BoundResource>, DbError> {
    let binding = tx.bindings().find(job.resource).await?;
    Ok(binding.filter(|binding| binding.vault == job.from).map(|binding| binding.resource))
}
