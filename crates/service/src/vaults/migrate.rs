//! Moving resources between vaults (RES-21 … RES-32, contract C11).

use cbr_db::{TaskRecord, Tx};
use cbr_model::operation::{OperationDetails, OperationType};
use cbr_model::resource::ProtectStatus;
use cbr_model::vault::Vault;
use cbr_model::{ResourceId, TaskId, VaultId};

use super::service::{Vaults, existing};
use crate::audit::Subject;
use crate::error::VaultRefusal;
use crate::error::db;
use crate::rules::migration;
use crate::tasks::migrate_resource;
use crate::{Access, Error, Result};

impl Vaults {
    /// Moves resources with all their backups to another vault of the project, all or none, by one
    /// task each.
    pub async fn migrate_resources(
        &self,
        access: &Access,
        from: VaultId,
        to: VaultId,
        resources: Vec<ResourceId>,
    ) -> Result<Vec<ResourceId>> {
        use ProtectStatus::{Available, Error as Failed, Removing};
        let mut tx = self.core.change(access, "moving resources").await?;
        let from = existing(&mut tx, access.project(), from).await?;
        let found = tx.vaults().find(access.project(), to).await.map_err(db("reading a vault"))?;
        let to = found.ok_or(Error::Vault(VaultRefusal::DestinationNotFound(to)))?;
        for vault in [from.id, to.id] {
            if let Some(task) = task_in(&mut tx, vault).await? {
                return Err(Error::VaultBusy { task });
            }
        }
        for bound in migration::check(&from, &to, &resources)? {
            let has = tx.migration().has_app_consistent(from.id, bound.id).await;
            migration::check_databases(&to, has.map_err(db("looking at backups"))?)?;
            let is_changed = tx
                .bindings()
                .change_status(from.id, bound.id, &[Available, Failed], Removing)
                .await;
            if !is_changed.map_err(db("changing a resource's status"))? {
                return Err(Error::ResourceRemoving { resource: bound.id });
            }
            let task = migrate_resource::new(&self.core, access, &from, &to, &bound);
            tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        }
        tx.record(Subject::new(to.id, &to.name)).await?;
        tx.commit(Subject::new(from.id, &from.name)).await?;
        self.core.wake();
        Ok(resources)
    }
}

/// A task that has not ended and works in the vault, or brings something into it (VLT-63).
pub(super) async fn task_in(tx: &mut Tx, vault: VaultId) -> Result<Option<TaskId>> {
    find_task(tx, vault, |_| true).await
}

/// Whether there is one.
pub(crate) async fn is_at_work(tx: &mut Tx, vault: VaultId) -> Result<bool> {
    Ok(task_in(tx, vault).await?.is_some())
}

/// Refuses to lock or shrink a vault that something is moved out of or into, or removed from: what the
/// task has found in order must stay so until it is done.
pub(super) async fn refuse_while_moving(tx: &mut Tx, before: &Vault, after: &Vault) -> Result<()> {
    let is_tighter = (after.locked && !before.locked) || after.size < before.size;
    if !is_tighter {
        return Ok(());
    }
    let moves = |task: &TaskRecord| {
        matches!(
            task.operation,
            Some(
                OperationType::Migrate | OperationType::RemoveResource | OperationType::VaultDelete
            )
        )
    };
    match find_task(tx, before.id, moves).await? {
        Some(task) => Err(Error::VaultBusy { task }),
        None => Ok(()),
    }
}

async fn find_task(
    tx: &mut Tx,
    vault: VaultId,
    is_meant: impl Fn(&TaskRecord) -> bool + Send,
) -> Result<Option<TaskId>> {
    let unfinished = tx.tasks().list_unfinished().await.map_err(db("listing tasks"))?;
    let id = vault.to_string();
    let brings = |details: &OperationDetails| {
        matches!(details, OperationDetails::Migrate { destination_vault_id, .. }
            if *destination_vault_id == id)
    };
    let concerns = |task: &&TaskRecord| task.vault == Some(vault) || brings(&task.details);
    let found = unfinished.iter().filter(concerns).find(|task| is_meant(task));
    Ok(found.map(|task| task.id))
}
