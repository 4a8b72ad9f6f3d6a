//! Use cases of imports.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::backup::Backup;
use cbr_model::name::Name;
use cbr_model::operation::OperationType;
use cbr_model::vault::VaultKind;
use cbr_model::{BackupId, ProjectId, ResourceId, TaskId, Timestamp, VaultId};

use super::error::ImportError;
use super::rules::{Begin, Place, begin, look, parsed, place, unfinished};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::rules::selection;
use crate::tasks::image::{Image, taken_in};
use crate::tasks::limit::UNFINISHED_MAX;
use crate::tasks::{order, sync};
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// Most backups of one request (contract A.9).
pub const ITEMS_MAX: usize = 50;
/// Names of resources, and of buckets, are not longer (contract C.M).
const TEXT_CHARS_MAX: usize = 255;
/// Clocks of two places differ by so much at most.
const CLOCK_SECONDS_MAX: i64 = 300;

/// Use cases of imports.
#[derive(Debug)]
pub struct Imports {
    core: Arc<Core>,
}

/// A backup that shall be taken in (contract `BackupSync`).
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct NewImport {
    /// Its id, here as there.
    pub backup: BackupId,
    /// Its name.
    pub name: Name,
    /// The operator's name of the bucket.
    pub bucket: String,
    /// Where in the bucket its image is.
    pub path: String,
    /// What it is a backup of.
    pub resource: ResourceId,
    /// What that is called.
    pub resource_name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A backup that is taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The backup.
    pub backup: BackupId,
    /// Its operation log.
    pub log: TaskId,
}

/// A synchronisation that begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyncBegun {
    /// The vault.
    pub vault: VaultId,
    /// Its operation log.
    pub log: TaskId,
}

impl Imports {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The moment, so many seconds after 1970, at which a backup was made elsewhere. Not in the future.
    pub fn created_at(&self, seconds: i64) -> Result<Timestamp> {
        created(seconds, self.core.clock.now())
    }

    /// Takes in backups from buckets (contract C33): all of the request begin, or none. One that was taken in
    /// before, or is being taken in, is told again and not taken in twice.
    pub async fn import(&self, access: &Access, items: &[NewImport]) -> Result<Vec<Imported>> {
        check(items)?;
        let images = self.look(access.project(), items).await?;
        let project = access.project();
        let mut tx = self.core.change(access, "taking in backups").await?;
        let new = images.iter().flatten().count();
        if new > 0 && unfinished(&mut tx, project).await?.saturating_add(new) > UNFINISHED_MAX {
            return Err(Error::TooManyTasks { limit: UNFINISHED_MAX });
        }
        let mut imported = Vec::with_capacity(items.len());
        for (item, image) in items.iter().zip(images) {
            let log = match (place(&mut tx, project, item, None).await?, image) {
                (Place::Here(backup), _) => self.told_again(access, &mut tx, &backup).await?,
                // It was here a moment ago.
                (Place::New(_), None) => return Err(Error::Busy),
                (Place::New(vault), Some(image)) => {
                    let (origin, is_automatic, task) = (access.into(), false, None);
                    let (core, vault) = (&self.core, &*vault);
                    let import = Begin { origin, vault, item, image, is_automatic, task };
                    let log = begin(core, &mut tx, import).await?;
                    tx.record(Subject::new(item.backup, &item.name)).await?;
                    log
                }
            };
            imported.push(Imported { backup: item.backup, log });
        }
        tx.commit_recorded().await?;
        self.core.wake();
        Ok(imported)
    }

    /// Looks at the images of those that are new; no transaction is held meanwhile.
    async fn look(&self, project: ProjectId, items: &[NewImport]) -> Result<Vec<Option<Image>>> {
        let mut is_new = Vec::with_capacity(items.len());
        let mut tx = self.core.db.read().await.map_err(db("looking for backups"))?;
        for item in items {
            is_new.push(matches!(place(&mut tx, project, item, None).await?, Place::New(_)));
        }
        drop(tx);
        let mut images = Vec::with_capacity(items.len());
        for (item, is_new) in items.iter().zip(is_new) {
            images.push(if is_new { Some(look(&self.core, project, item).await?) } else { None });
        }
        Ok(images)
    }

    /// The log of an import that is at work, or a new one that says that there is nothing to do.
    async fn told_again(&self, access: &Access, tx: &mut Tx, backup: &Backup) -> Result<TaskId> {
        let doing = "looking for an import";
        let running = tx.tasks().list_by_backup(backup.id).await.map_err(db(doing))?;
        let is_import = |task: &&cbr_db::TaskRecord| task.operation == Some(OperationType::Sync);
        if let Some(task) = running.iter().find(is_import) {
            return Ok(task.id);
        }
        let vault = existing_vault(tx, access.project(), backup.vault).await?;
        let details = taken_in(backup, 0);
        let log = order::recorded(&self.core, access, &vault, OperationType::Sync, details);
        tx.tasks().insert_done(&log).await.map_err(db("adding an operation log"))?;
        Ok(log.id)
    }

    /// Takes in what the project's buckets have that is not here yet (contract C26): one task.
    pub async fn sync(
        &self,
        access: &Access,
        id: VaultId,
        is_automatic: bool,
    ) -> Result<SyncBegun> {
        let project = access.project();
        let mut tx = self.core.change(access, "synchronising a vault").await?;
        let vault = existing_vault(&mut tx, project, id).await?;
        if vault.kind != VaultKind::File {
            return Err(ImportError::VaultNotHybrid { vault: id, kind: vault.kind }.into());
        }
        if self.core.buckets.of(project).next().is_none() {
            return Err(ImportError::NoBucket.into());
        }
        selection::check_vault(&vault)?;
        let running = tx.tasks().find_by_key(&sync::key(id)).await;
        if let Some(task) = running.map_err(db("looking for a synchronisation"))? {
            return Err(ImportError::SyncRunning { vault: id, task: task.id }.into());
        }
        let task = sync::new(&self.core, access, &vault, is_automatic);
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(id, &vault.name)).await?;
        self.core.wake();
        Ok(SyncBegun { vault: id, log: task.id })
    }
}

/// The moment so many seconds after 1970, if a backup can have been made then.
pub(super) fn created(seconds: i64, now: Timestamp) -> Result<Timestamp> {
    if (0..=now.seconds().saturating_add(CLOCK_SECONDS_MAX)).contains(&seconds) {
        return Ok(Timestamp(0).plus_seconds(seconds));
    }
    Err(Error::invalid("created_at", "it is in seconds since 1970, and not in the future"))
}

/// What can be said of a request without looking anywhere.
fn check(items: &[NewImport]) -> Result<()> {
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(Error::invalid("sync", format!("1 to {ITEMS_MAX} backups")));
    }
    let mut ids = BTreeSet::new();
    for item in items {
        if !ids.insert(item.backup) {
            return Err(Error::invalid("backup_id", format!("{} is listed twice", item.backup)));
        }
        check_texts(item)?;
        parsed(&item.path)?;
    }
    Ok(())
}

/// What has a length.
pub(super) fn check_texts(item: &NewImport) -> Result<()> {
    for (field, text) in [("bucket_name", &item.bucket), ("resource_name", &item.resource_name)] {
        let is_possible = !text.is_empty()
            && text.chars().count() <= TEXT_CHARS_MAX
            && !text.chars().any(char::is_control);
        if !is_possible {
            return Err(Error::invalid(field, "1 to 255 characters, none of which is for control"));
        }
    }
    Ok(())
}
