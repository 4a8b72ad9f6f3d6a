//! Where an import goes, and how it begins. Both ways to take in go through here.

use std::sync::Arc;

use cbr_db::{DbError, Tx};
use cbr_model::backup::{Backup, BackupState};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::operation::OperationType;
use cbr_model::query::{BackupFilter, Page, VaultFilter};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Bytes;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};
use cbr_model::{CheckpointId, ProjectId, TaskId};
use cbr_provider::bucket::{Bucket, BucketError, ObjectPath};
use tokio::task::spawn_blocking;

use super::error::ImportError;
use super::service::NewImport;
use crate::core::Core;
use crate::error::db;
use crate::rules::selection;
use crate::tasks::image::{self, Image};
use crate::tasks::order::Origin;
use crate::{Error, Result};

/// A backup that is not deleted is kept for ever, unless somebody says until when (contract C23).
const FOR_EVER: i64 = -1;

/// What is known of an import before anything of it begins.
#[derive(Debug)]
pub(crate) enum Place {
    /// It was taken in before, or is being taken in.
    Here(Box<Backup>),
    /// It goes into this vault.
    New(Box<Vault>),
}

/// An import that begins.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) vault: &'a Vault,
    pub(crate) item: &'a NewImport,
    pub(crate) image: Image,
    /// Nobody asked for this backup; a schedule did.
    pub(crate) is_automatic: bool,
    /// The id of its task, if it has one already.
    pub(crate) task: Option<TaskId>,
}

/// Where the import goes: to `into`, or, if that is not said, to the vault where the resource already has
/// backups, or else to the oldest file vault.
pub(crate) async fn place(
    tx: &mut Tx,
    project: ProjectId,
    item: &NewImport,
    into: Option<&Vault>,
) -> Result<Place> {
    let doing = "looking for a backup";
    if let Some(known) = tx.backups().find(project, item.backup).await.map_err(db(doing))? {
        return if is_same(&known, item) {
            Ok(Place::Here(Box::new(known)))
        } else {
            Err(ImportError::BackupIdTaken(item.backup).into())
        };
    }
    if tx.backups().is_taken(item.backup).await.map_err(db(doing))? {
        return Err(ImportError::BackupIdTaken(item.backup).into());
    }
    let vault = match into {
        Some(vault) => vault.clone(),
        None => file_vault(tx, project, item).await?,
    };
    selection::check_vault(&vault)?;
    Ok(Place::New(Box::new(vault)))
}

/// Whether it is this one. Its name may have been changed since; what it is of, and when it was made, not.
fn is_same(known: &Backup, item: &NewImport) -> bool {
    known.resource_kind == ResourceKind::Native
        && known.resource == item.resource
        && known.created_at == item.created_at
        && matches!(
            known.state,
            BackupState::Protecting | BackupState::Available { .. } | BackupState::Restoring { .. }
        )
}

async fn file_vault(tx: &mut Tx, project: ProjectId, item: &NewImport) -> Result<Vault> {
    let of_resource = BackupFilter {
        resource: Some(item.resource),
        resource_kind: Some(ResourceKind::Native),
        ..BackupFilter::default()
    };
    let newest = Page { limit: 1, ..Page::default() };
    let earlier = tx.backups().list(project, &of_resource, &newest).await;
    if let Some(earlier) = earlier.map_err(db("listing backups"))?.rows.pop() {
        let home = tx.vaults().find(project, earlier.vault).await.map_err(db("reading a vault"))?;
        if let Some(home) = home.filter(|home| home.status != VaultStatus::Deleting) {
            return Ok(home);
        }
    }
    let filter = VaultFilter { kinds: vec![VaultKind::File], ..VaultFilter::default() };
    let listed = tx.vaults().list(project, &filter, &Page::default()).await;
    let vaults = listed.map_err(db("listing vaults"))?.rows.into_iter();
    vaults
        .filter(|vault| vault.status != VaultStatus::Deleting)
        .min_by_key(|vault| (vault.created_at, vault.id))
        .ok_or_else(|| ImportError::NoFileVault.into())
}

/// Looks at the image of an import. Waits for the bucket.
pub(crate) async fn look(core: &Core, project: ProjectId, item: &NewImport) -> Result<Image> {
    let unknown = || Error::Import(ImportError::BucketUnknown(item.bucket.clone()));
    let bucket = core.buckets.find(project, &item.bucket).ok_or_else(unknown)?;
    let path = parsed(&item.path)?;
    let seen = seen(bucket, path.clone()).await?.map_err(|error| of_bucket(&item.bucket, error))?;
    Ok(Image { bucket: item.bucket.clone(), path, seen })
}

async fn seen(
    bucket: Arc<dyn Bucket>,
    path: ObjectPath,
) -> Result<std::result::Result<cbr_provider::bucket::Seen, BucketError>> {
    spawn_blocking(move || bucket.look(&path)).await.map_err(Error::internal("looking at an image"))
}

/// What a bucket's refusal means to who asked.
pub(super) fn of_bucket(bucket: &str, error: BucketError) -> Error {
    Error::Import(match error {
        BucketError::Unreachable(_) => {
            ImportError::BucketUnreachable { bucket: bucket.to_owned(), source: error }
        }
        other => ImportError::Image(other),
    })
}

pub(super) fn parsed(path: &str) -> Result<ObjectPath> {
    path.parse().map_err(|error| Error::invalid("image_path", error))
}

/// Writes down the backup and the task that makes it. The task's id.
pub(crate) async fn begin(core: &Core, tx: &mut Tx, import: Begin<'_>) -> Result<TaskId> {
    let taken = |error| match error {
        DbError::Taken { .. } => Error::Import(ImportError::BackupIdTaken(import.item.backup)),
        other => db("adding a backup")(other),
    };
    write(core, tx, &import).await.map_err(taken)
}

/// As [`begin`], where nobody is told why not.
pub(crate) async fn write(
    core: &Core,
    tx: &mut Tx,
    import: &Begin<'_>,
) -> std::result::Result<TaskId, DbError> {
    let Begin { origin, vault, item, image, is_automatic, task } = import;
    let checkpoint = Checkpoint {
        id: CheckpointId::random(&*core.random),
        project: origin.project,
        vault: vault.id,
        name: item.name.to_string(),
        description: String::new(),
        retention_days: FOR_EVER,
        created_at: item.created_at,
        skipped: Vec::new(),
    };
    let backup = Backup {
        id: item.backup,
        project: origin.project,
        vault: vault.id,
        checkpoint: checkpoint.id,
        parent: None,
        name: item.name.clone(),
        description: String::new(),
        resource: item.resource,
        resource_name: item.resource_name.clone(),
        resource_kind: ResourceKind::Native,
        resource_size: Bytes(image.disk_bytes()).gib_rounded_up(),
        resource_az: String::new(),
        state: BackupState::Protecting,
        incremental: false,
        auto_trigger: *is_automatic,
        system_disk: false,
        encrypted: false,
        app_consistency: None,
        created_at: item.created_at,
        updated_at: tx.now(),
        protected_at: None,
        expired_at: None,
        children: Vec::new(),
    };
    let mut new = image::new(core, *origin, vault, &backup, image.clone());
    new.id = task.unwrap_or(new.id);
    tx.checkpoints().insert(&checkpoint).await?;
    tx.backups().insert(&backup).await?;
    tx.tasks().insert(&new).await?;
    Ok(new.id)
}

/// How many imports of the project have not ended.
pub(super) async fn unfinished(tx: &mut Tx, project: ProjectId) -> Result<usize> {
    let tasks = tx.tasks().list_unfinished().await.map_err(db("counting imports"))?;
    let is_one = |task: &&cbr_db::TaskRecord| {
        task.project == project && task.operation == Some(OperationType::Sync)
    };
    Ok(tasks.iter().filter(is_one).count())
}
