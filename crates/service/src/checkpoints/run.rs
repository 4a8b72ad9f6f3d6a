//! The start of a run, whoever wants it: one backup and one task for each resource.

use std::collections::BTreeSet;

use cbr_db::Tx;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::name::Name;
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ResourceId, Timestamp};

use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::resources::Native;
use crate::rules::names;
use crate::rules::selection::{Selection, Taken};
use crate::tasks::backup::{self as task, Manner};
use crate::tasks::order::Origin;
use crate::{Error, Result};

/// What of a run is settled before its resources are looked at.
pub(crate) struct Run<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) base: Name,
    pub(crate) fulls: FullBackups,
    pub(crate) is_automatic: bool,
    /// When its backups end; stamped on them (RET-20).
    pub(crate) expired_at: Option<Timestamp>,
    /// When a policy had it due; none: somebody wants it now.
    pub(crate) due: Option<Due>,
}

/// When a policy had a run due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    /// The starts of its backups are spread over so many minutes.
    pub(crate) window_minutes: Option<u32>,
}

impl Due {
    /// When backup `index` of `count` starts: evenly over the window, in the vault's order.
    fn start(self, index: usize, count: usize) -> Timestamp {
        let seconds = i64::from(self.window_minutes.unwrap_or(0)) * 60;
        let (index, count) = (index as i64, count.max(1) as i64);
        self.at.plus_seconds(seconds * index / count)
    }
}

/// Which backups of a run share nothing with earlier ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FullBackups {
    None,
    All,
    Of(BTreeSet<ResourceId>),
}

impl FullBackups {
    fn has(&self, resource: ResourceId) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(resources) => resources.contains(&resource),
        }
    }
}

impl Run<'_> {
    /// Writes down the run with everything it takes and leaves out, and with each backup how its
    /// resource is set up, as `seen` (contract C34). The backups.
    pub(crate) async fn start(
        mut self,
        core: &Core,
        tx: &mut Tx,
        vault: &Vault,
        selection: Selection,
        seen: &[(ResourceId, Option<Native>)],
    ) -> Result<Vec<Subject>> {
        self.checkpoint.skipped = selection.skipped;
        let checkpoint = &self.checkpoint;
        tx.checkpoints().insert(checkpoint).await.map_err(db("adding a checkpoint"))?;
        for skipped in &checkpoint.skipped {
            let (log, error) = task::skipped(core, self.origin, vault, checkpoint, skipped);
            let added = tx.tasks().insert_skipped(&log, &error).await;
            added.map_err(db("adding an operation log"))?;
        }
        let count = selection.taken.len();
        let mut made = Vec::with_capacity(count);
        for (index, taken) in selection.taken.iter().enumerate() {
            let name = names::backup_name(&self.base, index, count);
            let backup = self.backup(core, taken, name);
            tx.backups().insert(&backup).await.map_err(db("adding a backup"))?;
            let native = seen.iter().find(|(id, _)| *id == backup.resource);
            if let Some(native) = native.and_then(|(_, native)| native.as_ref()) {
                let kept = tx.backups().set_metadata(backup.id, &native.metadata()).await;
                kept.map_err(db("keeping the metadata of a backup"))?;
            }
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
            let manner = Manner {
                origin: self.origin,
                is_full: self.fulls.has(resource),
                due_at: self.due.map(|due| due.at),
                run_at: self.due.map_or(Timestamp(0), |due| due.start(index, count)),
            };
            let task = task::new(core, vault, &backup, taken, manner);
            tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
            made.push(Subject::new(backup.id, &backup.name));
        }
        Ok(made)
    }

    fn backup(&self, core: &Core, taken: &Taken, name: Name) -> Backup {
        let Taken { bound, candidate, exclude_volumes } = taken;
        let created_at = self.checkpoint.created_at;
        let disks: Vec<_> = candidate.included(exclude_volumes).collect();
        let mut backup = Backup {
            id: BackupId::random(&*core.random),
            project: self.checkpoint.project,
            vault: self.checkpoint.vault,
            checkpoint: self.checkpoint.id,
            parent: None,
            name,
            description: self.checkpoint.description.clone(),
            resource: bound.id,
            resource_name: candidate.name.clone(),
            resource_kind: bound.kind,
            resource_size: candidate.size_without(exclude_volumes),
            resource_az: candidate.az.clone(),
            state: BackupState::Protecting,
            // Known once the store has looked for something to build on.
            incremental: false,
            auto_trigger: self.is_automatic,
            system_disk: disks.iter().any(|disk| disk.is_system_disk),
            encrypted: disks.iter().any(|disk| disk.is_encrypted),
            // Known once the server is asked.
            app_consistency: None,
            created_at,
            updated_at: created_at,
            protected_at: None,
            expired_at: self.expired_at,
            children: Vec::new(),
        };
        if bound.kind == ResourceKind::Server {
            backup.children = disks
                .iter()
                .map(|disk| Backup {
                    id: BackupId::random(&*core.random),
                    parent: Some(backup.id),
                    name: names::disk_backup_name(&backup.name, &disk.name),
                    resource: disk.id,
                    resource_name: disk.name.clone(),
                    resource_kind: ResourceKind::Volume,
                    resource_size: disk.size.gib_rounded_up(),
                    system_disk: disk.is_system_disk,
                    encrypted: disk.is_encrypted,
                    ..backup.clone()
                })
                .collect();
        }
        backup
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract B.9 `start_window_minutes`.
    #[test]
    fn a_window_spreads_the_starts_evenly() {
        let at = Timestamp(0);
        let starts = |window_minutes| {
            let due = Due { at, window_minutes };
            (0..4).map(|index| due.start(index, 4).seconds() / 60).collect::<Vec<_>>()
        };
        assert_eq!(starts(Some(60)), [0, 15, 30, 45]);
        assert_eq!(starts(None), [0; 4]);
    }
}
