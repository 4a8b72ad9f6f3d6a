//! Moving resources between vaults (RES-21 … RES-32).

use cbr_model::backup::Backup;
use cbr_model::operation::{OperationDetails, OperationStatus, OperationType};
use cbr_model::resource::ProtectStatus;
use cbr_model::size::Gib;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};
use cbr_model::{ProjectId, VaultId};
use cbr_task::harness::crash_matrix;
use cbr_task::{Failure, Outcome, Task};

use uuid::Uuid;

use super::world::{BLOCK, SECOND_VOLUME, SERVER, VOLUME, World, id, in_place, run, succeeded};
use crate::error::VaultRefusal;
use crate::tasks::migrate_resource::MigrateTask;
use crate::vaults::VaultChange;
use crate::{Error, Result};

impl World {
    pub(super) async fn migrate(&self, from: &Vault, to: &Vault, resource: u128) -> Result<()> {
        let vaults = &self.services.vaults;
        vaults.migrate_resources(&self.access, from.id, to.id, vec![id(resource)]).await?;
        Ok(())
    }

    /// The backups of a resource, newest first.
    async fn of(&self, resource: u128) -> Vec<Backup> {
        let backups = self.backups().await;
        backups.into_iter().filter(|backup| backup.resource == id(resource)).collect()
    }

    async fn delete_to_trash(&self, backup: &Backup) {
        self.services.backups.delete(&self.access, backup.id).await.unwrap();
        self.settle().await;
    }
}

/// RES-21, RES-27, RES-29: all backups go along, also those in the trash; a run of two resources is
/// divided; the next backup builds on the last one; either vault can be deleted without the other.
#[tokio::test]
async fn a_resource_moves_with_all_its_backups() {
    let world = World::with_trash().await;
    let from = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let to = world.vault(VaultKind::Disk, &[]).await;
    let both = world.start(&from, true).await.unwrap().checkpoint.id;
    world.settle().await;
    world.clock.advance(std::time::Duration::from_secs(1));
    world.provider.write(id(VOLUME), 0, &[0x44; 9000]);
    world.start(&from, true).await.unwrap();
    world.settle().await;
    let [newer, older] = world.of(VOLUME).await.try_into().unwrap();
    world.delete_to_trash(&older).await;
    let bound = world.reread(&from).await.resources[0].clone();
    let content = world.provider.content(id(VOLUME));
    world.clock.advance(std::time::Duration::from_secs(1));

    world.migrate(&from, &to, VOLUME).await.unwrap();
    let waiting = world.reread(&from).await.resources[0].protect_status;
    assert_eq!(waiting, ProtectStatus::Removing, "nothing else begins with it");
    let restore = world.services.backups.restore(&world.access, newer.id, in_place()).await;
    assert!(matches!(restore, Err(Error::ResourceRemoving { .. })), "{restore:?}");
    world.settle().await;
    let log = world.logs().await.remove(0);
    succeeded(&log);
    assert_eq!((log.operation, log.vault), (OperationType::Migrate, Some(from.id)));
    let details = OperationDetails::Migrate {
        destination_vault_id: to.id.to_string(),
        destination_vault_name: to.name.to_string(),
        backups: 1,
    };
    assert_eq!(log.details, details);

    let (left, there) = (world.reread(&from).await, world.reread(&to).await);
    assert_eq!(left.resources.iter().map(|r| r.id).collect::<Vec<_>>(), [id(SECOND_VOLUME)]);
    assert_eq!(there.resources[0].protect_status, ProtectStatus::Available);
    assert_eq!((there.resources[0].chain, there.used), (bound.chain, bound.backup_bytes));
    let moved = world.services.backups.show(&world.access, newer.id).await.unwrap();
    assert_eq!(moved.vault, to.id);
    let run_there = world.services.checkpoints.show(&world.access, moved.checkpoint).await.unwrap();
    assert_eq!((run_there.resources.len(), run_there.checkpoint.vault), (1, to.id));
    let run_here = world.services.checkpoints.show(&world.access, both).await.unwrap();
    assert_eq!((run_here.resources.len(), run_here.checkpoint.vault), (1, from.id));

    let next = world.back_up(&there).await;
    assert!(next.incremental, "the chain goes on");
    world.services.trash.undelete(&world.access, older.id, None).await.unwrap();
    world.settle().await;
    let back = world.services.backups.show(&world.access, older.id).await.unwrap();
    assert_eq!(back.vault, to.id, "the trash moved as well");
    let run_back = world.services.checkpoints.show(&world.access, back.checkpoint).await.unwrap();
    assert_eq!(run_back.checkpoint.vault, to.id);

    world.services.vaults.delete(&world.access, from.id).await.unwrap();
    world.settle().await;
    let gone = world.services.vaults.show(&world.access, from.id).await;
    assert!(matches!(gone, Err(Error::VaultNotFound(_))), "{gone:?}");
    assert_eq!(world.of(VOLUME).await.len(), 3);
    world.provider.write(id(VOLUME), 0, &[9; 5]);
    succeeded(&world.restore(newer.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content, "P1");
    world.services.vaults.delete(&world.access, to.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await.len(), 0);
}

/// P8, RES-21: after the loss of the database a resource is in the vault to which it was moved last, with its backups
/// and its trash, though nothing was backed up there; and that vault is there again. What stayed is where it was.
#[tokio::test]
async fn a_move_outlives_the_database() {
    let world = World::with_trash().await;
    let from = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let to = world.vault(VaultKind::Disk, &[]).await;
    for _ in 0..2 {
        world.start(&from, true).await.unwrap();
        world.settle().await;
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let [newer, older] = world.of(VOLUME).await.try_into().unwrap();
    world.delete_to_trash(&older).await;
    // There, back, and there again.
    for (from, to) in [(&from, &to), (&to, &from), (&from, &to)] {
        world.migrate(from, to, VOLUME).await.unwrap();
        world.settle().await;
        succeeded(&world.logs().await[0]);
    }
    assert_eq!(world.store.repository.notes().unwrap().len(), 3);
    let content = world.provider.content(id(VOLUME));

    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((rebuilt.vaults, rebuilt.resources), (2, 2), "{rebuilt:?}");
    assert_eq!((rebuilt.backups, rebuilt.trashed), (3, 1), "{rebuilt:?}");
    let (left, there) = (world.reread(&from).await, world.reread(&to).await);
    let ids = |vault: &Vault| vault.resources.iter().map(|bound| bound.id).collect::<Vec<_>>();
    assert_eq!((ids(&left), ids(&there)), (vec![id(SECOND_VOLUME)], vec![id(VOLUME)]));
    assert_eq!((&there.name, there.size), (&to.name, to.size));
    let [found] = world.of(VOLUME).await.try_into().unwrap();
    assert_eq!((found.id, found.vault), (newer.id, to.id));
    let run = world.services.checkpoints.show(&world.access, found.checkpoint).await.unwrap();
    assert_eq!(run.checkpoint.vault, to.id);
    assert!(world.of(SECOND_VOLUME).await.iter().all(|backup| backup.vault == from.id));
    let mut tx = world.db.read().await.unwrap();
    let trashed = tx.trash().find(found.project, older.id).await.unwrap().unwrap();
    drop(tx);
    assert_eq!(trashed.backup.vault, to.id);
    // Life goes on – with another project's id, so the next note is another tenant's – with backups, restores, and the
    // next move.
    world.clock.advance(std::time::Duration::from_secs(10));
    world.back_up(&there).await;
    world.provider.write(id(VOLUME), 0, &[9; 5]);
    succeeded(&world.restore(newer.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content, "P1");
    world.clock.advance(std::time::Duration::from_secs(1));
    world.migrate(&there, &left, VOLUME).await.unwrap();
    world.settle().await;
    succeeded(&world.logs().await[0]);
    let world = world.without_database().await;
    world.services.catalogue.rebuild().await.unwrap();
    assert!(world.of(VOLUME).await.iter().all(|backup| backup.vault == from.id));
}

/// P8: what the store does not take is no reason to undo a move that has happened.
#[test]
fn a_move_that_cannot_be_noted_has_happened() {
    let job = crate::tasks::migrate_resource::Job {
        project: ProjectId::from_uuid(Uuid::from_u128(1)),
        resource: id(VOLUME),
        from: VaultId::from_uuid(Uuid::from_u128(2)),
        to: VaultId::from_uuid(Uuid::from_u128(3)),
        to_name: "there".to_owned(),
        was: ProtectStatus::Available,
    };
    let failure = Failure::failed("BackupService.0000", "the store is gone");
    let moved = MigrateTask::Moved { job: job.clone(), kept: None };
    assert_eq!(moved.unwind(failure.clone()).outcome(), Some(Outcome::Success));
    let failed = MigrateTask::Move { job }.unwind(failure.clone()).outcome();
    assert_eq!(failed, Some(Outcome::Failed(failure)));
}

/// P3, P14: after any crash the resource is in exactly one vault, with all its backups.
#[tokio::test]
async fn a_crash_at_any_step_of_a_move_leaves_the_resource_in_one_vault() {
    let make = async || {
        let world = World::new().await;
        let from = world.vault(VaultKind::Server, &[SERVER]).await;
        world.back_up(&from).await;
        world.back_up(&from).await;
        let to = world.vault(VaultKind::Server, &[]).await;
        world.migrate(&from, &to, SERVER).await.unwrap();
        let task = world.waiting().await;
        world.with_task::<MigrateTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let mut tx = world.db.read().await.unwrap();
        let binding = tx.bindings().find(id(SERVER)).await.unwrap().unwrap();
        assert_eq!(binding.resource.protect_status, ProtectStatus::Available, "{fault:?}");
        assert_eq!(binding.resource.backup_count, 2, "{fault:?}");
        let backups = world.of(SERVER).await;
        let places = backups.iter().flat_map(|b| b.children.iter().chain([b])).map(|b| b.vault);
        assert!(places.into_iter().all(|place| place == binding.vault), "{fault:?}");
        assert_eq!(world.versions().len(), 2, "{fault:?}: no version is made or lost");
        // P14: the note is there, once.
        assert_eq!(world.store.repository.notes().unwrap().len(), 1, "{fault:?}");
        let log = &world.logs().await[0];
        assert_ne!(Some(binding.vault), log.vault, "{fault:?}: it has moved");
    })
    .await;
}

/// RES-22, RES-24, VLT-63: what changed since the request counts; then nothing has moved.
#[tokio::test]
async fn a_move_that_is_not_possible_any_more_changes_nothing() {
    for (status, code) in
        [(None, "BackupService.6129"), (Some(VaultStatus::Frozen), "BackupService.6112")]
    {
        let world = World::new().await;
        let from = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let to = world.vault(VaultKind::Disk, &[]).await;
        let backup = world.back_up(&from).await;
        world.migrate(&from, &to, VOLUME).await.unwrap();
        for vault in [&from, &to] {
            let busy = world.services.vaults.delete(&world.access, vault.id).await;
            assert!(matches!(busy, Err(Error::VaultBusy { .. })), "{busy:?}");
        }
        let mut tx = world.db.begin().await.unwrap();
        if let Some(to_be) = status {
            let from = [VaultStatus::Available];
            tx.vaults().change_status(to.project, to.id, &from, to_be).await.unwrap();
        } else {
            let full = Vault { size: Gib(1), ..world.reread(&to).await };
            let bound = Vault { size: Gib(1), resources: from.resources.clone(), ..full };
            assert!(bound.allocated() <= Gib(1));
            tx.vaults().update(&bound).await.unwrap();
            let mut other = bound.resources[0].clone();
            (other.id, other.size) = (id(SECOND_VOLUME), Gib(1));
            tx.bindings().insert(to.id, &other).await.unwrap();
        }
        tx.commit().await.unwrap();
        world.settle().await;
        let log = world.logs().await.remove(0);
        assert_eq!(log.status, OperationStatus::Failed);
        assert_eq!(log.error.unwrap().code, code);
        let left = world.reread(&from).await;
        assert_eq!(left.resources[0].protect_status, ProtectStatus::Available);
        let backup = world.services.backups.show(&world.access, backup.id).await.unwrap();
        assert_eq!(backup.vault, from.id);
    }
}

/// A move mends nothing: what a restore has left half-written stays in error, wherever it goes.
#[tokio::test]
async fn a_resource_in_error_stays_so_when_it_moves() {
    for is_possible in [true, false] {
        let world = World::new().await;
        let from = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let to = world.vault(VaultKind::Disk, &[]).await;
        let mut tx = world.db.begin().await.unwrap();
        let (was, failed) = ([ProtectStatus::Available], ProtectStatus::Error);
        assert!(tx.bindings().change_status(from.id, id(VOLUME), &was, failed).await.unwrap());
        tx.commit().await.unwrap();
        world.migrate(&from, &to, VOLUME).await.unwrap();
        if !is_possible {
            let mut tx = world.db.begin().await.unwrap();
            let (was, frozen) = ([VaultStatus::Available], VaultStatus::Frozen);
            tx.vaults().change_status(to.project, to.id, &was, frozen).await.unwrap();
            tx.commit().await.unwrap();
        }
        world.settle().await;
        let vault = world.reread(if is_possible { &to } else { &from }).await;
        assert_eq!(vault.resources[0].protect_status, ProtectStatus::Error, "{is_possible}");
    }
}

/// What a move has found in order stays so until it is done: its vaults are neither locked nor shrunk
/// meanwhile (Y.1), and nothing is taken back for a resource that leaves.
#[tokio::test]
async fn the_vaults_of_a_move_are_not_locked_or_shrunk_meanwhile() {
    let world = World::with_trash().await;
    let from = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let to = world.vault(VaultKind::Disk, &[]).await;
    let backup = world.back_up(&from).await;
    world.delete_to_trash(&backup).await;
    world.migrate(&from, &to, VOLUME).await.unwrap();
    let lock = VaultChange { locked: Some(true), ..VaultChange::default() };
    let shrink = VaultChange { size: Some(Gib(50)), ..VaultChange::default() };
    let grow = VaultChange { size: Some(Gib(200)), ..VaultChange::default() };
    let vaults = &world.services.vaults;
    for vault in [&from, &to] {
        for change in [&lock, &shrink] {
            let refused = vaults.update(&world.access, vault.id, change.clone()).await;
            assert!(matches!(refused, Err(Error::VaultBusy { .. })), "{refused:?}");
        }
        vaults.update(&world.access, vault.id, grow.clone()).await.unwrap();
    }
    let back = world.services.trash.undelete(&world.access, backup.id, None).await;
    assert!(matches!(back, Err(Error::ResourceRemoving { .. })), "{back:?}");
    world.settle().await;
    vaults.update(&world.access, to.id, lock).await.unwrap();
}

/// Contract C11: no task in either vault, no vault of another project, no locked vault.
#[tokio::test]
async fn a_move_is_refused_where_it_must_be() {
    let world = World::new().await;
    let from = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let to = world.vault(VaultKind::Disk, &[]).await;
    let absent = Vault { id: cbr_model::VaultId::from_uuid(id(99).as_uuid()), ..to.clone() };
    let refused = world.migrate(&from, &absent, VOLUME).await;
    assert!(
        matches!(refused, Err(Error::Vault(VaultRefusal::DestinationNotFound(_)))),
        "{refused:?}"
    );
    world.services.checkpoints.create(&world.access, run(&from)).await.unwrap();
    let refused = world.migrate(&from, &to, VOLUME).await;
    assert!(matches!(refused, Err(Error::VaultBusy { .. })), "{refused:?}");
    let refused = world.migrate(&to, &from, VOLUME).await;
    assert!(matches!(refused, Err(Error::VaultBusy { .. })), "{refused:?}");
    world.settle().await;
    let lock = VaultChange { locked: Some(true), ..VaultChange::default() };
    world.services.vaults.update(&world.access, from.id, lock).await.unwrap();
    let refused = world.migrate(&from, &to, VOLUME).await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "{refused:?}");
}

/// P8: the newest card says where the chain is; the older backups are found there too, and a run that
/// was divided stays divided.
#[tokio::test]
async fn a_lost_database_comes_back_with_the_move() {
    let world = World::new().await;
    let from = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let to = world.vault(VaultKind::Disk, &[]).await;
    world.start(&from, true).await.unwrap();
    world.settle().await;
    world.migrate(&from, &to, VOLUME).await.unwrap();
    world.settle().await;
    world.clock.advance(std::time::Duration::from_secs(1));
    world.provider.write(id(VOLUME), 3 * BLOCK, &[0x17; 9]);
    world.back_up(&to).await;

    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((rebuilt.vaults, rebuilt.resources, rebuilt.backups), (2, 2, 3), "{rebuilt:?}");
    assert_eq!(rebuilt.checkpoints, 3, "one of two resources is two now");
    let moved = world.of(VOLUME).await;
    assert!(moved.iter().all(|backup| backup.vault == to.id), "{moved:?}");
    let stayed = world.of(SECOND_VOLUME).await;
    assert_eq!(stayed[0].vault, from.id);
    for backup in moved.iter().chain(&stayed) {
        let run = world.services.checkpoints.show(&world.access, backup.checkpoint).await.unwrap();
        assert_eq!(run.checkpoint.vault, backup.vault);
    }
    let again = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((again.backups, again.checkpoints, again.vaults), (0, 0, 0), "{again:?}");
    world.services.vaults.delete(&world.access, from.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.of(VOLUME).await.len(), 2);
}
