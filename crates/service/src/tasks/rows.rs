//! Changes of rows that several kinds of tasks make when they enter a stage.
//!
//! Each takes the row as it finds it: a row that is gone, or in another state,
//! was changed by somebody who may, and is left alone.

use cbr_db::{DbError, Tx};
use cbr_model::backup::{Backup, BackupState, InvalidTransition};
use cbr_model::resource::ProtectStatus;
use cbr_model::{BackupId, ProjectId, ResourceId, TaskId, VaultId};

/// A transition of a backup's state.
pub(super) type Transition<'a> =
    &'a (dyn Fn(BackupState) -> Result<BackupState, InvalidTransition> + Sync);

/// Moves one backup (not its children) to its next state, where its state allows it.
pub(super) async fn advance(
    tx: &mut Tx,
    backup: &Backup,
    transition: Transition<'_>,
) -> Result<(), DbError> {
    let Ok(state) = transition(backup.state.clone()) else { return Ok(()) };
    let expected = backup.state.as_str();
    let changed = Backup { state, children: Vec::new(), ..backup.clone() };
    tx.backups().update(&changed, expected).await.map(drop)
}

/// Moves a backup and its children.
pub(super) async fn advance_all(
    tx: &mut Tx,
    project: ProjectId,
    id: BackupId,
    transition: Transition<'_>,
) -> Result<(), DbError> {
    let Some(backup) = tx.backups().find(project, id).await? else { return Ok(()) };
    for part in std::iter::once(&backup).chain(&backup.children) {
        advance(tx, part, transition).await?;
    }
    Ok(())
}

/// Whether a task other than `me` works on the backup or one of its disks, or it is exported.
pub(crate) async fn is_used(
    tx: &mut Tx,
    backup: &Backup,
    me: Option<TaskId>,
) -> Result<bool, DbError> {
    for part in std::iter::once(backup).chain(&backup.children) {
        let tasks = tx.tasks().list_by_backup(part.id).await?;
        let exports = tx.exports().list(part.project, Some(part.id)).await?;
        if tasks.iter().any(|task| Some(task.id) != me) || !exports.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a task of a project the backup is shared with reads it or one of its disks.
pub(crate) async fn is_used_by_others(tx: &mut Tx, backup: &Backup) -> Result<bool, DbError> {
    for part in std::iter::once(backup).chain(&backup.children) {
        let tasks = tx.tasks().list_by_backup(part.id).await?;
        if tasks.iter().any(|task| task.project != backup.project) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a backup that is being deleted, and its run with the last one.
async fn forget(tx: &mut Tx, project: ProjectId, id: BackupId) -> Result<(), DbError> {
    let Some(backup) = tx.backups().find(project, id).await? else { return Ok(()) };
    tx.backups().delete(project, id, "deleting").await?;
    tx.checkpoints().delete_if_empty(project, backup.checkpoint).await.map(drop)
}

/// Removes a backup that never came to be, and its run with the last one.
pub(super) async fn withdraw(tx: &mut Tx, project: ProjectId, id: BackupId) -> Result<(), DbError> {
    let Some(backup) = tx.backups().find(project, id).await? else { return Ok(()) };
    tx.backups().delete(project, id, "protecting").await?;
    tx.checkpoints().delete_if_empty(project, backup.checkpoint).await.map(drop)
}

/// Removes a backup that was deleted from the catalogue: to the trash if it can be taken back.
pub(super) async fn put_away(
    tx: &mut Tx,
    project: ProjectId,
    id: BackupId,
    undo: bool,
) -> Result<(), DbError> {
    let Some(backup) = tx.backups().find(project, id).await? else { return Ok(()) };
    if undo && tx.trash().put(project, id).await? {
        tx.checkpoints().delete_if_empty(project, backup.checkpoint).await.map(drop)
    } else {
        forget(tx, project, id).await
    }
}

/// Ends what happened to a resource. One that is being taken out meanwhile stays so (RES-17).
pub(super) async fn release(
    tx: &mut Tx,
    vault: VaultId,
    resource: ResourceId,
    from: ProtectStatus,
    to: ProtectStatus,
) -> Result<(), DbError> {
    tx.bindings().change_status(vault, resource, &[from], to).await.map(drop)
}
