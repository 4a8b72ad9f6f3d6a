//! Use cases of the trash.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cbr_db::{TrashPlace, TrashedBackup, Tx};
use cbr_model::audit::Event;
use cbr_model::backup::Backup;
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::size::Bytes;
use cbr_model::{BackupId, ProjectId, TaskId, Timestamp, VaultId};

use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::retention::{Trust, trust};
use crate::rules::trash::{check_takes, logical_bytes};
use crate::tasks::{purge_backup, undelete_backup};
use crate::{Access, Error, Result};

/// The most backups a list of the trash has.
const LIST_MAX: i64 = 1000;
/// What giving up is recorded as, when nobody asked for it.
const PURGED: Event = Event::new("purgeBackup", "backup");
/// The most backups one round gives up.
const PURGES_MAX: u32 = 500;

/// Use cases of the trash.
#[derive(Debug)]
pub struct Trash {
    core: Arc<Core>,
    /// How far the last round came; none: to the end.
    swept: Mutex<Option<TrashPlace>>,
}

/// A backup in the trash, and when it goes.
#[derive(Clone, PartialEq, Debug)]
pub struct InTrash {
    /// As it was, and would be again.
    pub backup: Backup,
    /// What it would take of its vault's capacity.
    pub logical_bytes: Bytes,
    /// When it was deleted; after a loss of the database, when that was noticed.
    pub trashed_at: Timestamp,
    /// From when on it is given up for good.
    pub purged_from: Timestamp,
}

impl Trash {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core, swept: Mutex::new(None) }
    }

    /// For how many days what is deleted can be taken back; none: it is gone at once.
    pub fn undo_days(&self) -> u32 {
        self.core.undo_days
    }

    /// What is in the project's trash, what was deleted last first; at most a thousand backups.
    pub async fn list(&self, access: &Access) -> Result<Vec<InTrash>> {
        let mut tx = self.core.db.read().await.map_err(db("listing the trash"))?;
        let listed = tx.trash().list(access.project(), LIST_MAX).await;
        let listed = listed.map_err(db("listing the trash"))?;
        Ok(listed.into_iter().map(|trashed| self.view(trashed)).collect())
    }

    fn view(&self, TrashedBackup { backup, trashed_at }: TrashedBackup) -> InTrash {
        InTrash {
            logical_bytes: logical_bytes(&backup),
            purged_from: trashed_at.plus_seconds(self.undo_seconds()),
            backup,
            trashed_at,
        }
    }

    fn undo_seconds(&self) -> i64 {
        i64::from(self.core.undo_days) * 24 * 60 * 60
    }

    /// Takes a backup back, into its own vault or into another of the same kind; done by the task
    /// whose id is returned.
    pub async fn undelete(
        &self,
        access: &Access,
        id: BackupId,
        into: Option<VaultId>,
    ) -> Result<TaskId> {
        let doing = "taking a backup back";
        let mut tx = self.core.change(access, doing).await?;
        let backup = existing(&mut tx, access.project(), id).await?;
        let vault = into.unwrap_or(backup.vault);
        let found = tx.vaults().find(access.project(), vault).await.map_err(db(doing))?;
        let vault = match (found, into) {
            (Some(vault), _) => vault,
            (None, Some(vault)) => return Err(Error::VaultNotFound(vault)),
            (None, None) => return Err(Error::TrashVaultGone { backup: id, vault }),
        };
        // It would stay behind when its resource has moved on, and nothing would delete it with it.
        let leaves = |bound: &&BoundResource| {
            bound.id == backup.resource && bound.protect_status == ProtectStatus::Removing
        };
        if let Some(bound) = vault.resources.iter().find(leaves) {
            return Err(Error::ResourceRemoving { resource: bound.id });
        }
        let coming = tx.trash().coming_back(vault.id).await.map_err(db(doing))?;
        check_takes(&vault, coming, &backup)?;
        let task = undelete_backup::new(&self.core, access, &vault, &backup);
        let id = task.id;
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        self.core.wake();
        Ok(id)
    }

    /// Gives a backup up for good, now; done by the task whose id is returned.
    pub async fn purge(&self, access: &Access, id: BackupId) -> Result<TaskId> {
        let mut tx = self.core.change(access, "purging a backup").await?;
        let backup = existing(&mut tx, access.project(), id).await?;
        let task = purge_backup::new(&self.core, access, &backup);
        let id = task.id;
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        self.core.wake();
        Ok(id)
    }

    /// Has everything given up that has been in the trash long enough; says how much that is.
    pub async fn sweep(&self) -> Result<u64> {
        self.sweep_some(PURGES_MAX).await
    }

    /// The same for at most `limit` backups. The next round goes on where this one ended, so that what
    /// cannot be given up (a damaged chain) is in nobody's way.
    pub(crate) async fn sweep_some(&self, limit: u32) -> Result<u64> {
        let doing = "emptying the trash";
        let after = *self.swept();
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        // What is given up is gone for good: a clock that leapt decides nothing (P11, P22).
        let now = match trust(&mut tx).await.map_err(db(doing))? {
            Trust::Now => tx.now(),
            Trust::Until(proven) => proven,
            Trust::Nothing => return Ok(0),
        };
        let end = now.plus_seconds(-self.undo_seconds());
        let due = tx.trash().due(end, after, limit).await.map_err(db(doing))?;
        let last = due.last().map(|last| (last.trashed_at, last.backup.id));
        let next = last.filter(|_| due.len() == limit as usize);
        let mut count = 0;
        for TrashedBackup { backup, .. } in due {
            let tasks = tx.tasks().list_by_backup(backup.id).await.map_err(db("listing tasks"))?;
            if tasks.is_empty() {
                let task = purge_backup::new_due(&self.core, &backup);
                tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
                let subject = Subject::new(backup.id, &backup.name);
                self.core.record_by_system(&mut tx, backup.project, PURGED, subject).await?;
                count += 1;
            }
        }
        tx.commit().await.map_err(db(doing))?;
        *self.swept() = next;
        if count > 0 {
            self.core.wake();
        }
        Ok(count)
    }

    fn swept(&self) -> MutexGuard<'_, Option<TrashPlace>> {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The backup, if it is in the trash and nothing happens to it.
async fn existing(tx: &mut Tx, project: ProjectId, id: BackupId) -> Result<Backup> {
    let found = tx.trash().find(project, id).await.map_err(db("reading the trash"))?;
    let backup = found.ok_or(Error::NotInTrash(id))?.backup;
    let tasks = tx.tasks().list_by_backup(id).await.map_err(db("listing tasks"))?;
    if tasks.is_empty() { Ok(backup) } else { Err(Error::BackupInUse(id)) }
}
