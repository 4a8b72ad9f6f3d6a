//! Use cases of replication.

use super::error::ReplicaError;
use std::convert::Infallible;
use std::sync::Arc;

use cbr_model::backup::{Backup, BackupState};
use cbr_model::query::{BackupFilter, Page};
use cbr_model::resource::ResourceKind;
use cbr_model::{BackupId, ProjectId, VaultId};

use crate::core::Core;
use crate::error::db;
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Identity, Result, backups};

/// Use cases of replication.
#[derive(Debug)]
pub struct Replication {
    core: Arc<Core>,
    identity: Arc<Identity>,
}

/// Where a copy shall go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// Id of the region.
    pub region: String,
    /// Project there.
    pub project: ProjectId,
    /// Vault there.
    pub vault: VaultId,
}

impl Replication {
    pub(crate) const fn new(core: Arc<Core>, identity: Arc<Identity>) -> Self {
        Self { core, identity }
    }

    /// Copies one backup to another region (contract C32, REP-07). `here`: the region of this service.
    pub async fn copy_backup(
        &self,
        access: &Access,
        here: &str,
        id: BackupId,
        to: &Destination,
    ) -> Result<Infallible> {
        let mut tx = self.core.db.read().await.map_err(db("reading a backup"))?;
        let backup = backups::existing(&mut tx, access.project(), id).await?;
        drop(tx);
        check_copyable(&backup)?;
        self.refuse_destination(access, here, to).await
    }

    /// Copies all backups of a vault that are not there yet (contract C25).
    pub async fn copy_vault(
        &self,
        access: &Access,
        here: &str,
        id: VaultId,
        to: &Destination,
    ) -> Result<Infallible> {
        let mut tx = self.core.db.read().await.map_err(db("reading a vault"))?;
        let vault = existing_vault(&mut tx, access.project(), id).await?;
        if !vault.kind.is_replicable() {
            return Err(Error::Replica(ReplicaError::VaultNotReplicable { kind: vault.kind }));
        }
        let filter = BackupFilter { vault: Some(id), ..BackupFilter::default() };
        let listed = tx.backups().list(access.project(), &filter, &Page::default()).await;
        drop(tx);
        let listed = listed.map_err(db("listing backups"))?;
        if listed.rows.iter().all(|backup| check_copyable(backup).is_err()) {
            return Err(Error::Replica(ReplicaError::NothingToReplicate));
        }
        self.refuse_destination(access, here, to).await
    }

    /// No destination can take a copy; says why this one cannot.
    async fn refuse_destination(
        &self,
        access: &Access,
        here: &str,
        to: &Destination,
    ) -> Result<Infallible> {
        if to.region != here {
            return Err(Error::Replica(ReplicaError::ReplicaRegion { region: to.region.clone() }));
        }
        match self.identity.project(access.caller(), to.project).await {
            Ok(project) if project.enabled => {}
            Ok(_) | Err(Error::ProjectNotFound(_)) => {
                return Err(Error::Replica(ReplicaError::ReplicaProject(to.project)));
            }
            Err(other) => return Err(other),
        }
        let mut tx = self.core.db.read().await.map_err(db("reading a vault"))?;
        let vault = tx.vaults().find(to.project, to.vault).await.map_err(db("reading a vault"))?;
        match vault {
            None => Err(Error::Replica(ReplicaError::DestinationVaultNotFound(to.vault))),
            // All vaults here are for backups: copies go to vaults for copies (REP-01).
            Some(vault) => Err(Error::Replica(ReplicaError::DestinationVaultRefused(vault.id))),
        }
    }
}

/// REP-07: servers with their system disk, complete, and nothing else.
fn check_copyable(backup: &Backup) -> Result<()> {
    if backup.parent.is_some() || backup.resource_kind != ResourceKind::Server {
        return Err(Error::Replica(ReplicaError::NotReplicable {
            reason: "only backups of servers are copied",
        }));
    }
    if !backup.system_disk {
        return Err(Error::Replica(ReplicaError::NotReplicable {
            reason: "it does not contain the system disk",
        }));
    }
    match &backup.state {
        BackupState::Available { .. } => Ok(()),
        other => Err(Error::Replica(ReplicaError::BackupNotReplicable { status: other.as_str() })),
    }
}
