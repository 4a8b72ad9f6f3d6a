//! Verifies one backup: everything a restore of it would read is read, and nothing is written.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, StoredVersion};
use cbr_model::operation::{OperationResource, OperationType};
use cbr_model::vault::Vault;
use cbr_store::Error as StoreError;
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::disk_bytes::Share;
use super::order;
use super::trouble::Trouble;
use crate::Access;
use crate::content;
use crate::core::Core;
use crate::failure::Code;
use crate::verification::{Finding, apply_domain};

/// The stages of a verification.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum VerifyTask {
    /// Read disk `next` of `versions`.
    Read { versions: Vec<StoredVersion>, next: usize, damaged: usize },
    /// Over.
    Done { outcome: Outcome },
}

/// The task that verifies `backup`.
pub(crate) fn new(core: &Core, access: &Access, vault: &Vault, backup: &Backup) -> NewTask {
    let versions = content::versions(backup);
    let first = VerifyTask::Read { versions, next: 0, damaged: 0 };
    let task = order::new_in_vault(core, access, vault, OperationType::Verify, &first);
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        resource: Some(OperationResource {
            id: backup.resource,
            name: backup.resource_name.clone(),
            kind: backup.resource_kind,
        }),
        ..task
    }
}

#[async_trait]
impl Task for VerifyTask {
    const KIND: &'static str = "verify_backup";
    type Ctx = Core;

    async fn step(self, core: &Core, run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        match self {
            Self::Read { versions, next, damaged } => {
                let read = read(core, run, versions, next, damaged).await;
                read.map_err(|trouble| trouble.at(stage))
            }
            Self::Done { .. } => Ok(self),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Read { .. } => Self::Done { outcome: Outcome::Failed(failure) },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome } => Some(outcome.clone()),
            Self::Read { .. } => None,
        }
    }
}

async fn read(
    core: &Core,
    run: &TaskContext,
    versions: Vec<StoredVersion>,
    next: usize,
    damaged: usize,
) -> Result<VerifyTask, Trouble> {
    let Some(version) = versions.get(next) else {
        if damaged == 0 {
            return Ok(VerifyTask::Done { outcome: Outcome::Success });
        }
        let reason = format!(
            "{damaged} of {} disks of the backup cannot be restored completely; its integrity \
             names the ranges. The next backup of the resource may heal it.",
            versions.len()
        );
        return Err(Trouble::fail(Code::Unknown, reason));
    };
    let reference = content::reference(version);
    let sizes: Vec<u64> = versions.iter().map(|version| version.disk_bytes.0).collect();
    let job = Share::of(0, 100, &sizes, next).job(run);
    let repository = Arc::clone(&core.repository);
    let verified = match spawn_blocking(move || repository.verify(&reference, &job)).await? {
        Ok(verified) => verified,
        // It was deleted meanwhile; there is nothing to say about it.
        Err(error @ StoreError::NoSuchVersion { .. }) => {
            return Err(Trouble::fail(Code::BackupNotFound, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let domain = reference.chain.domain();
    let is_damaged = !verified.lost.is_empty();
    let known = core.known_damage(domain).await?;
    let found = verified.problems.iter().filter_map(|problem| problem.spot);
    let finding = core.recheck(domain, known.into_iter().chain(found).collect()).await?;
    let verified = (!is_damaged).then_some(reference);
    note(core, &Finding { verified, ..finding }).await?;
    Ok(VerifyTask::Read { versions, next: next + 1, damaged: damaged + usize::from(is_damaged) })
}

async fn note(core: &Core, finding: &Finding) -> Result<(), DbError> {
    let mut tx: Tx = core.db.begin().await?;
    apply_domain(&mut tx, finding).await?;
    tx.commit().await
}
