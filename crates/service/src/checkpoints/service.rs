//! Use cases of checkpoints.

use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::checkpoint::{Checkpoint, CheckpointStatus};
use cbr_model::name::{Name, check_description};
use cbr_model::query::{BackupFilter, Page};
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, CheckpointId, ResourceId, Timestamp};

use super::views::{CheckpointView, NewCheckpoint};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::resources::Native;
use crate::rules::selection::{self, Selection, Taken};
use crate::rules::vault::check_name;
use crate::rules::{names, retention};
use crate::tasks::backup as task;
use crate::vaults::existing;
use crate::{Access, Error, Result, policies};

/// Use cases of checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    core: Arc<Core>,
}

/// What of a run is settled before its resources are looked at.
struct Run<'a> {
    access: &'a Access,
    checkpoint: Checkpoint,
    base: Name,
    is_full: bool,
    is_automatic: bool,
    /// When its backups end; stamped on them (RET-20).
    expired_at: Option<Timestamp>,
}

impl Checkpoints {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Starts a run: one backup and one task for each resource (contract C23).
    pub async fn create(&self, access: &Access, wanted: NewCheckpoint) -> Result<CheckpointView> {
        let mut run = self.run(access, &wanted)?;
        let project = access.project();
        let mut tx = self.core.db.read().await.map_err(db("starting a backup"))?;
        let vault = existing(&mut tx, project, wanted.vault).await?;
        drop(tx);
        selection::check_vault(&vault)?;
        let mut seen = Vec::new();
        for bound in selection::chosen(&vault, &wanted.resources, wanted.auto_trigger)? {
            let found = self.core.resources.native(project, bound.kind, bound.id).await?;
            seen.push((bound.id, found));
        }

        // The provider was asked without holding a transaction; all else is read again.
        let mut tx = self.core.change(access, "starting a backup").await?;
        let vault = existing(&mut tx, project, wanted.vault).await?;
        selection::check_vault(&vault)?;
        let mut meant = Vec::new();
        for bound in selection::chosen(&vault, &wanted.resources, wanted.auto_trigger)? {
            let known = seen.iter().find(|(id, _)| *id == bound.id);
            let candidate = known.and_then(|(_, native)| native.as_ref()).map(Native::candidate);
            meant.push((bound, candidate));
        }
        let selection = selection::select(meant, &wanted.resources)?;
        if run.is_automatic {
            let made = run.checkpoint.created_at;
            run.expired_at = policies::end_of(&mut tx, project, vault.id, made).await?;
        }
        let id = self.start(&mut tx, &vault, run, selection).await?;
        keep_metadata(&mut tx, access, id, &seen).await?;
        let view = view(&mut tx, access, id).await?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        self.core.wake();
        Ok(view)
    }

    fn run<'a>(&self, access: &'a Access, wanted: &NewCheckpoint) -> Result<Run<'a>> {
        let base = match &wanted.name {
            Some(name) => check_name("name", name)?,
            None => names::default_backup_name(wanted.auto_trigger, &*self.core.random),
        };
        check_description(&wanted.description).map_err(|e| Error::invalid("description", e))?;
        if wanted.auto_trigger && wanted.retention_days.is_some() {
            let reason = "a policy decides how long its backups are kept";
            return Err(Error::invalid("retention_duration_days", reason));
        }
        let checkpoint = Checkpoint {
            id: CheckpointId::random(&*self.core.random),
            project: access.project(),
            vault: wanted.vault,
            name: base.to_string(),
            description: wanted.description.clone(),
            retention_days: retention::check_days(wanted.retention_days)?,
            created_at: self.core.clock.now(),
            skipped: Vec::new(),
        };
        let (made, days) = (checkpoint.created_at, checkpoint.retention_days);
        Ok(Run {
            access,
            expired_at: retention::expires_at(made, days),
            checkpoint,
            base,
            is_full: !wanted.incremental,
            is_automatic: wanted.auto_trigger,
        })
    }

    async fn start(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        mut run: Run<'_>,
        selection: Selection,
    ) -> Result<CheckpointId> {
        run.checkpoint.skipped = selection.skipped;
        let checkpoint = &run.checkpoint;
        tx.checkpoints().insert(checkpoint).await.map_err(db("adding a checkpoint"))?;
        for skipped in &checkpoint.skipped {
            let (log, error) = task::skipped(&self.core, run.access, vault, checkpoint, skipped);
            let added = tx.tasks().insert_skipped(&log, &error).await;
            added.map_err(db("adding an operation log"))?;
        }
        let count = selection.taken.len();
        for (index, taken) in selection.taken.iter().enumerate() {
            let name = names::backup_name(&run.base, index, count);
            let backup = self.backup(&run, taken, name);
            tx.backups().insert(&backup).await.map_err(db("adding a backup"))?;
            let from = [ProtectStatus::Available, ProtectStatus::Error];
            let (resource, to) = (taken.bound.id, ProtectStatus::Protecting);
            let is_changed = tx.bindings().change_status(vault.id, resource, &from, to).await;
            if !is_changed.map_err(db("changing a resource's status"))? {
                return Err(Error::ResourceBackingUp(resource));
            }
            let (bound, candidate) = (&taken.bound, &taken.candidate);
            let left_out = candidate.left_out(&bound.exclude_volumes, &bound.include_volumes);
            let seen = BoundResource {
                name: candidate.name.clone(),
                size: candidate.size_without(&left_out),
                ..taken.bound.clone()
            };
            let changed = tx.bindings().update(vault.id, &seen).await;
            changed.map_err(db("changing a binding"))?;
            let task = task::new(&self.core, run.access, vault, &backup, taken, run.is_full);
            tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        }
        Ok(checkpoint.id)
    }

    fn backup(&self, run: &Run<'_>, taken: &Taken, name: Name) -> Backup {
        let Taken { bound, candidate, exclude_volumes } = taken;
        let created_at = run.checkpoint.created_at;
        let disks: Vec<_> = candidate.included(exclude_volumes).collect();
        let mut backup = Backup {
            id: BackupId::random(&*self.core.random),
            project: run.checkpoint.project,
            vault: run.checkpoint.vault,
            checkpoint: run.checkpoint.id,
            parent: None,
            name,
            description: run.checkpoint.description.clone(),
            resource: bound.id,
            resource_name: candidate.name.clone(),
            resource_kind: bound.kind,
            resource_size: candidate.size_without(exclude_volumes),
            resource_az: candidate.az.clone(),
            state: BackupState::Protecting,
            // Known once the store has looked for something to build on.
            incremental: false,
            auto_trigger: run.is_automatic,
            system_disk: disks.iter().any(|disk| disk.is_system_disk),
            created_at,
            updated_at: created_at,
            protected_at: None,
            expired_at: run.expired_at,
            children: Vec::new(),
        };
        if bound.kind == ResourceKind::Server {
            backup.children = disks
                .iter()
                .map(|disk| Backup {
                    id: BackupId::random(&*self.core.random),
                    parent: Some(backup.id),
                    name: names::disk_backup_name(&backup.name, &disk.name),
                    resource: disk.id,
                    resource_name: disk.name.clone(),
                    resource_kind: ResourceKind::Volume,
                    resource_size: disk.size.gib_rounded_up(),
                    system_disk: disk.is_system_disk,
                    ..backup.clone()
                })
                .collect();
        }
        backup
    }

    /// One run; absent once its last backup is gone (contract C24).
    pub async fn show(&self, access: &Access, id: CheckpointId) -> Result<CheckpointView> {
        let mut tx = self.core.db.read().await.map_err(db("reading a checkpoint"))?;
        view(&mut tx, access, id).await
    }
}

/// Writes down with each backup how its resource is set up (contract C34).
async fn keep_metadata(
    tx: &mut Tx,
    access: &Access,
    checkpoint: CheckpointId,
    seen: &[(ResourceId, Option<Native>)],
) -> Result<()> {
    let filter = BackupFilter { checkpoint: Some(checkpoint), ..BackupFilter::default() };
    let backups = tx.backups().list(access.project(), &filter, &Page::default()).await;
    for backup in backups.map_err(db("listing backups"))?.rows {
        let native = seen.iter().find(|(id, _)| *id == backup.resource);
        if let Some(native) = native.and_then(|(_, native)| native.as_ref()) {
            let kept = tx.backups().set_metadata(backup.id, &native.metadata()).await;
            kept.map_err(db("keeping the metadata of a backup"))?;
        }
    }
    Ok(())
}

async fn view(tx: &mut Tx, access: &Access, id: CheckpointId) -> Result<CheckpointView> {
    let checkpoint = tx.checkpoints().find(access.project(), id).await;
    let checkpoint = checkpoint.map_err(db("reading a checkpoint"))?;
    let checkpoint = checkpoint.ok_or(Error::CheckpointNotFound(id))?;
    let filter = BackupFilter { checkpoint: Some(id), ..BackupFilter::default() };
    let backups = tx.backups().list(access.project(), &filter, &Page::default()).await;
    let mut backups = backups.map_err(db("listing backups"))?.rows;
    backups.sort_by(|a, b| a.name.cmp(&b.name));
    let status = CheckpointStatus::from_backups(backups.iter().map(|b| b.state.as_str()))
        .ok_or(Error::CheckpointNotFound(id))?;
    let vault = existing(tx, access.project(), checkpoint.vault).await?;
    let resources = backups.iter().map(|backup| resource(&vault, backup)).collect();
    Ok(CheckpointView {
        checkpoint,
        status,
        vault_name: vault.name.to_string(),
        vault_kind: vault.kind,
        resources,
    })
}

/// What a run took, with the state of this run's backup.
fn resource(vault: &Vault, backup: &Backup) -> BoundResource {
    let protect_status = match &backup.state {
        BackupState::Protecting => ProtectStatus::Protecting,
        BackupState::Available { .. } => ProtectStatus::Available,
        BackupState::Restoring { .. } => ProtectStatus::Restoring,
        BackupState::Deleting { .. } => ProtectStatus::Removing,
        BackupState::Error { .. } => ProtectStatus::Error,
    };
    let bound = vault.resources.iter().find(|bound| bound.id == backup.resource);
    match bound {
        Some(bound) => BoundResource { protect_status, ..bound.clone() },
        // Taken out of the vault meanwhile: its backups are about to go.
        None => BoundResource {
            id: backup.resource,
            kind: backup.resource_kind,
            name: backup.resource_name.clone(),
            size: backup.resource_size,
            protect_status,
            exclude_volumes: Vec::new(),
            include_volumes: Vec::new(),
            auto_protect: false,
            chain: cbr_model::ChainId::from_uuid(backup.resource.as_uuid()),
            epoch: 0,
            backup_bytes: cbr_model::size::Bytes(0),
            backup_count: 0,
        },
    }
}
