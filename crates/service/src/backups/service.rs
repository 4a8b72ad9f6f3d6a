//! Use cases of backups.

use crate::sharing::ShareError;
use std::sync::{Arc, Mutex};

use cbr_db::Tx;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::name::Name;
use cbr_model::query::{BackupFilter, Listing, Ownership, Page};
use cbr_model::resource::ProtectStatus;
use cbr_model::vault::{Vault, VaultUse};
use cbr_model::{BackupId, TaskId, Timestamp};

use super::reach::{existing, visible};
use super::requests::RestoreRequest;
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::exports::refuse_exported;
use crate::images::refuse_imaged;
use crate::rules::restore;
use crate::rules::vault::check_name;
use crate::tasks::{delete_backup, restore as restore_task, rows};
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// Use cases of backups.
#[derive(Debug)]
pub struct Backups {
    pub(super) core: Arc<Core>,
    /// After which backup the next round of counting begins; none: from the first one.
    pub(super) counted: Mutex<Option<BackupId>>,
}

impl Backups {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core, counted: Mutex::new(None) }
    }

    /// Lists backups (contract C27); children only with `filter.parent`. Of those that others share,
    /// the children are there only once they are accepted.
    pub async fn list(
        &self,
        access: &Access,
        filter: &BackupFilter,
        page: Page,
    ) -> Result<Listing<Backup>> {
        let mut tx = self.core.db.read().await.map_err(db("listing backups"))?;
        let listed = tx.backups().list(access.project(), filter, &page).await;
        let mut listed = listed.map_err(db("listing backups"))?;
        drop(tx);
        if filter.ownership != Ownership::Private {
            let around = self.surroundings(access, &listed.rows).await?;
            for backup in listed.rows.iter_mut().filter(|backup| around.is_undecided(backup)) {
                backup.children.clear();
            }
        }
        Ok(listed)
    }

    /// One backup with its children (contract C28): the project's own, or one it accepted.
    pub async fn show(&self, access: &Access, id: BackupId) -> Result<Backup> {
        let mut tx = self.core.db.read().await.map_err(db("reading a backup"))?;
        visible(&mut tx, access.project(), id).await
    }

    /// One of the project's own backups with its children.
    pub(super) async fn own(&self, access: &Access, id: BackupId) -> Result<Backup> {
        let mut tx = self.core.db.read().await.map_err(db("reading a backup"))?;
        existing(&mut tx, access.project(), id).await
    }

    /// Renames it (contract C29).
    pub async fn rename(&self, access: &Access, id: BackupId, name: String) -> Result<Backup> {
        let name = check_name("name", &name)?;
        let mut tx = self.core.change(access, "renaming a backup").await?;
        let mut backup = existing(&mut tx, access.project(), id).await?;
        backup.name = name;
        backup.updated_at = tx.now();
        let expected = backup.state.as_str();
        tx.backups().update(&backup, expected).await.map_err(db("renaming a backup"))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        Ok(backup)
    }

    /// Deletes it with its children (contract C30); done by the task whose id is returned.
    pub async fn delete(&self, access: &Access, id: BackupId) -> Result<TaskId> {
        let mut tx = self.core.change(access, "deleting a backup").await?;
        let (task, name) = begin_deletion(&self.core, access, &mut tx, id).await?;
        tx.commit(Subject::new(id, name)).await?;
        self.core.wake();
        Ok(task)
    }

    /// Restores it (contract C31); done by the task whose id is returned.
    pub async fn restore(
        &self,
        access: &Access,
        id: BackupId,
        request: RestoreRequest,
    ) -> Result<TaskId> {
        let project = access.project();
        let backup = self.own(access, id).await.map_err(|error| match error {
            Error::Share(ShareError::BackupReceived(_)) => {
                let allowed = "a new disk: it is shared with you";
                Error::RestoreElsewhere { allowed: allowed.to_owned() }
            }
            other => other,
        })?;
        let target_id = restore::target_id(&backup, &request)?;
        let target = self.core.resources.target(project, backup.resource_kind, target_id).await?;

        let mut tx = self.core.change(access, "restoring a backup").await?;
        let backup = existing(&mut tx, project, id).await?;
        let vault = existing_vault(&mut tx, project, backup.vault).await?;
        let bound = vault.resources.iter().find(|bound| bound.id == backup.resource);
        restore::check_source(&backup, vault.status, bound)?;
        let target = target.ok_or_else(|| restore::gone(&backup))?;
        let disks = restore::plan(&backup, &request, &target)?;

        let state = backup.state.clone().begin_restore();
        let state = state.map_err(Error::internal("beginning a restore"))?;
        set_state(&mut tx, &backup, state).await?;
        let (from, to) =
            ([ProtectStatus::Available, ProtectStatus::Error], ProtectStatus::Restoring);
        let is_changed = tx.bindings().change_status(vault.id, backup.resource, &from, to).await;
        if !is_changed.map_err(db("changing a resource's status"))? && bound.is_some() {
            return Err(Error::ResourceRestoring(backup.resource));
        }
        let order = restore_task::Order { backup: &backup, target: &target, disks };
        let task = restore_task::new(&self.core, access, &vault, order, request.power_on);
        let id = task.id;
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        self.core.wake();
        Ok(id)
    }
}

/// Begins the deletion of a backup in the caller's transaction; the task that does it, and the
/// backup's name.
pub(crate) async fn begin_deletion(
    core: &Core,
    access: &Access,
    tx: &mut Tx,
    id: BackupId,
) -> Result<(TaskId, Name)> {
    let backup = existing(tx, access.project(), id).await.map_err(|error| match error {
        Error::Share(ShareError::BackupReceived(_)) => {
            Error::BackupNotDeletable { status: "shared with you" }
        }
        other => other,
    })?;
    let vault = existing_vault(tx, access.project(), backup.vault).await?;
    check_deletable(&backup, &vault, tx.now())?;
    refuse_imaged(tx, &backup).await?;
    refuse_exported(tx, &backup).await?;
    if rows::is_used(tx, &backup, None).await.map_err(db("listing tasks"))? {
        let is_read = rows::is_used_by_others(tx, &backup).await;
        let is_read = is_read.map_err(db("listing tasks"))?;
        return Err(if is_read {
            Error::Share(ShareError::ShareInUse(id))
        } else {
            Error::BackupInUse(id)
        });
    }
    begin_delete(tx, &backup).await?;
    let task = delete_backup::new(core, access, &vault, &backup);
    tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
    Ok((task.id, backup.name))
}

/// BAK-70, VLT-57, Y.2, contract C30.
fn check_deletable(backup: &Backup, vault: &Vault, now: Timestamp) -> Result<()> {
    if backup.parent.is_some() {
        return Err(Error::BackupNotDeletable { status: "part of a server backup" });
    }
    if !vault.status.allows(VaultUse::DeleteBackup) {
        return Err(Error::VaultStatus { status: vault.status });
    }
    let is_unexpired = backup.expired_at.is_none_or(|end| end > now);
    if vault.locked && backup.auto_trigger && is_unexpired {
        return Err(Error::BackupLocked(backup.id));
    }
    match &backup.state {
        BackupState::Available { .. } | BackupState::Error { .. } => Ok(()),
        BackupState::Restoring { .. } => Err(Error::BackupInUse(backup.id)),
        BackupState::Protecting | BackupState::Deleting { .. } => {
            Err(Error::BackupNotDeletable { status: backup.state.as_str() })
        }
    }
}

/// Marks a backup and its children as being deleted, whatever of it can be.
pub(crate) async fn begin_delete(tx: &mut Tx, backup: &Backup) -> Result<()> {
    for part in std::iter::once(backup).chain(&backup.children) {
        if let Ok(state) = part.state.clone().begin_delete() {
            set_state(tx, part, state).await?;
        }
    }
    Ok(())
}

/// Writes a new state over the one `backup` was read with.
async fn set_state(tx: &mut Tx, backup: &Backup, state: BackupState) -> Result<()> {
    let expected = backup.state.as_str();
    let changed = Backup { state, children: Vec::new(), ..backup.clone() };
    let is_changed = tx.backups().update(&changed, expected).await;
    if is_changed.map_err(db("changing a backup's state"))? {
        return Ok(());
    }
    Err(Error::internal("changing a backup's state")("it changed meanwhile"))
}
