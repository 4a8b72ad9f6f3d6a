//! Use cases of checkpoints.

use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::CheckpointId;
use cbr_model::audit::Event;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::checkpoint::{Checkpoint, CheckpointStatus};
use cbr_model::name::check_description;
use cbr_model::query::{BackupFilter, Page};
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::vault::Vault;

use super::run::{FullBackups, Run};
use super::views::{CheckpointView, NewCheckpoint};
use crate::audit::{Change, Subject};
use crate::core::Core;
use crate::error::db;
use crate::resources::Native;
use crate::rules::selection;
use crate::rules::vault::check_name;
use crate::rules::{names, retention};
use crate::vaults::existing;
use crate::{Access, Error, Result, policies};

/// What is recorded of each backup that somebody starts, beside the run (AUD-02). Of what a policy starts the run
/// is recorded.
pub const BACKUP_MADE: Event = Event::new("createBackup", "backup");

/// Use cases of checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    core: Arc<Core>,
}

impl Checkpoints {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Starts a run: one backup and one task for each resource (contract C23).
    pub async fn create(&self, access: &Access, wanted: NewCheckpoint) -> Result<CheckpointView> {
        let (tx, vault, view) = self.begin(access, wanted).await?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        self.core.wake();
        Ok(view)
    }

    /// The same in a transaction that the caller ends.
    pub(crate) async fn begin<'a>(
        &self,
        access: &'a Access,
        wanted: NewCheckpoint,
    ) -> Result<(Change<'a>, Vault, CheckpointView)> {
        let mut run = self.run(access, &wanted)?;
        let project = access.project();
        let mut tx = self.core.db.read().await.map_err(db("starting a backup"))?;
        let vault = existing(&mut tx, project, wanted.vault).await?;
        drop(tx);
        selection::check_vault(&vault)?;
        let chosen = selection::chosen(&vault, &wanted.resources, wanted.auto_trigger)?;
        let seen = self.core.resources.look(project, &chosen).await?;

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
        let id = run.checkpoint.id;
        for backup in run.start(&self.core, &mut tx, &vault, selection, &seen).await? {
            tx.record_along(BACKUP_MADE, backup).await?;
        }
        let view = view(&mut tx, access, id).await?;
        Ok((tx, vault, view))
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
            origin: access.into(),
            expired_at: retention::expires_at(made, days),
            checkpoint,
            base,
            fulls: if wanted.incremental { FullBackups::None } else { FullBackups::All },
            is_automatic: wanted.auto_trigger,
            due: None,
        })
    }

    /// One run; absent once its last backup is gone (contract C24).
    pub async fn show(&self, access: &Access, id: CheckpointId) -> Result<CheckpointView> {
        let mut tx = self.core.db.read().await.map_err(db("reading a checkpoint"))?;
        view(&mut tx, access, id).await
    }
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
