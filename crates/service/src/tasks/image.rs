//! An image in a bucket as the source of a backup (contract C33, docs/adr/0040).
//!
//! It is what it was when the backup was asked for, or there is no backup: looked at before the first byte and
//! after the last.

use std::sync::Arc;

use cbr_db::{DbError, NewTask, Tx};
use cbr_model::ProjectId;
use cbr_model::backup::Backup;
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::vault::Vault;
use cbr_provider::DiskReader;
use cbr_provider::bucket::{Bucket, BucketError, ObjectPath, Seen, padded};
use cbr_task::TaskContext;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::backup::{BackupTask, Job, JobDisk};
use super::order::Origin;
use super::trouble::Trouble;
use super::{order, rows};
use crate::content::native_chain;
use crate::core::Core;
use crate::error::chain;
use crate::failure::Code;

/// An image, and what it was when somebody looked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    /// The operator's name of the bucket.
    pub(crate) bucket: String,
    /// Where in it.
    pub(crate) path: ObjectPath,
    /// What was there.
    pub(crate) seen: Seen,
}

/// The task that takes `image` in as `backup` of a resource elsewhere (contract C33).
pub(crate) fn new(
    core: &Core,
    origin: Origin<'_>,
    vault: &Vault,
    backup: &Backup,
    image: Image,
) -> NewTask {
    let job = Job {
        project: backup.project,
        vault: vault.id,
        checkpoint: backup.checkpoint,
        backup: backup.id,
        resource: backup.resource,
        kind: backup.resource_kind,
        chain: native_chain(core.repository.id(), backup.vault, backup.resource),
        epoch: 0,
        disks: vec![JobDisk { backup: backup.id, volume: backup.resource }],
        created_at: backup.created_at,
        due_at: None,
        image: Some(image),
        app_consistency: None,
    };
    let first = BackupTask::Open { job };
    let task = order::new_in_vault(core, origin, vault, OperationType::Sync, &first);
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        details: taken_in(backup, 0),
        // Ids of other places say nothing about the resources of this one: a key of their own.
        exclusive_key: Some(format!("native:{}:{}", backup.project, backup.resource)),
        node: Some(core.node.clone()),
        resource: Some(OperationResource {
            id: backup.resource,
            name: backup.resource_name.clone(),
            kind: backup.resource_kind,
        }),
        ..task
    }
}

/// What the log of an import tells.
pub(crate) fn taken_in(backup: &Backup, count: u64) -> OperationDetails {
    OperationDetails::Sync {
        backup_id: Some(backup.id.to_string()),
        backup_name: Some(backup.name.to_string()),
        taken_in: count,
        failed: 0,
    }
}

/// Nothing remains of a backup whose image was not taken in: its id is free again.
pub(super) async fn not_taken_in(tx: &mut Tx, run: &TaskContext, job: &Job) -> Result<(), DbError> {
    if let Some(backup) = tx.backups().find(job.project, job.backup).await? {
        let (backup_id, backup_name) = (backup.id.to_string(), backup.name.to_string());
        let (backup_id, backup_name) = (Some(backup_id), Some(backup_name));
        let details = OperationDetails::Sync { backup_id, backup_name, taken_in: 0, failed: 1 };
        tx.tasks().set_details(run.id(), &details).await?;
    }
    rows::withdraw(tx, job.project, job.backup).await
}

impl Image {
    /// Size of the disk that it is.
    pub(crate) const fn disk_bytes(&self) -> u64 {
        padded(self.seen.size_bytes)
    }

    /// Refuses it if it is no longer what it was.
    pub(super) async fn confirm(&self, core: &Core, project: ProjectId) -> Result<(), Trouble> {
        let (bucket, path) = (self.bucket(core, project)?, self.path.clone());
        let seen = spawn_blocking(move || bucket.look(&path)).await??;
        if seen == self.seen {
            return Ok(());
        }
        Err(BucketError::Changed(self.path.clone()).into())
    }

    /// Opens it for reading.
    pub(super) async fn open(
        &self,
        core: &Core,
        project: ProjectId,
    ) -> Result<Arc<dyn DiskReader>, Trouble> {
        let bucket = self.bucket(core, project)?;
        let (path, seen) = (self.path.clone(), self.seen.clone());
        Ok(spawn_blocking(move || bucket.open(&path, &seen)).await??)
    }

    /// The operator may have taken it away since.
    fn bucket(&self, core: &Core, project: ProjectId) -> Result<Arc<dyn Bucket>, Trouble> {
        core.buckets.find(project, &self.bucket).ok_or_else(|| {
            let reason = format!("bucket `{}` does not exist, or you may not use it", self.bucket);
            Trouble::fail(Code::ImageUnusable, reason)
        })
    }
}

impl From<BucketError> for Trouble {
    fn from(error: BucketError) -> Self {
        let reason = chain(&error);
        match error {
            BucketError::Unreachable(_) => Self::Again { reason },
            BucketError::NotFound(_) | BucketError::Unusable { .. } | BucketError::Changed(_) => {
                Self::fail(Code::ImageUnusable, reason)
            }
        }
    }
}
