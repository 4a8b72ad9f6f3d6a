//! Deleting into the trash, taking back, giving up.

use std::time::Duration;

use cbr_env::Clock;
use cbr_model::BackupId;
use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::operation::{OperationStatus, OperationType};
use cbr_model::size::Bytes;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};
use cbr_task::Outcome;
use cbr_task::harness::crash_matrix;

use super::audit::recorded;
use super::world::{
    BLOCK, DATA_DISK, SECOND_VOLUME, SERVER, SYSTEM_DISK, VOLUME, World, id, succeeded,
};
use crate::Error;
use crate::catalogue::{Health, Rebuilt};
use crate::rules::trash::{check_takes, logical_bytes};
use crate::tasks::delete_backup::DeleteTask;
use crate::tasks::purge::PurgeTask;
use crate::tasks::purge_backup::PurgeBackupTask;
use crate::tasks::undelete_backup::UndeleteTask;
use crate::trash::InTrash;

const DAY: Duration = Duration::from_hours(24);

impl World {
    pub(super) async fn trash(&self) -> Vec<InTrash> {
        self.services.trash.list(&self.access).await.unwrap()
    }

    /// Deletes a backup, to the end.
    pub(super) async fn delete(&self, backup: &Backup) {
        let task = self.services.backups.delete(&self.access, backup.id).await.unwrap();
        self.settle().await;
        succeeded(&self.services.operations.show(&self.access, task).await.unwrap());
    }

    pub(super) fn trashed_versions(&self) -> usize {
        self.store.repository.contents().unwrap().trashed.len()
    }
}

/// The same backup as before; when it last changed is later.
#[track_caller]
fn assert_same(is: &Backup, was: &Backup) {
    let still = |backup: &Backup| {
        let mut backup = backup.clone();
        backup.updated_at = was.updated_at;
        backup.children.iter_mut().for_each(|child| child.updated_at = was.updated_at);
        backup
    };
    assert_eq!(still(is), still(was));
}

/// VLT-85, P17: a deleted backup is gone for its users at once, and the vault's usage with it; taken back
/// it is the same backup, and restores the same bytes.
#[tokio::test]
async fn a_deleted_backup_is_gone_at_once_and_can_be_taken_back() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let used = world.reread(&vault).await.used;
    let contents = [SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n)));
    world.delete(&backup).await;
    let gone = world.services.backups.show(&world.access, backup.id).await;
    assert!(matches!(gone, Err(Error::BackupNotFound(_))));
    let run = world.services.checkpoints.show(&world.access, backup.checkpoint).await;
    assert!(matches!(run, Err(Error::CheckpointNotFound(_))), "contract C24");
    assert_eq!((world.reread(&vault).await.used.0, world.versions().len()), (0, 0));
    assert_eq!(world.trashed_versions(), 2);
    let trash = world.trash().await;
    assert_eq!((trash.len(), trash[0].logical_bytes), (1, used));
    assert_same(&trash[0].backup, &backup);
    assert_eq!(trash[0].purged_from, trash[0].trashed_at.plus_seconds(3 * 24 * 60 * 60));

    for n in [SYSTEM_DISK, DATA_DISK] {
        world.provider.write(id(n), 0, &[0xdd; 9000]);
    }
    let task = world.services.trash.undelete(&world.access, backup.id, None).await.unwrap();
    let twice = world.services.trash.undelete(&world.access, backup.id, None).await;
    assert!(matches!(twice, Err(Error::BackupInUse(_))), "{twice:?}");
    world.settle().await;
    let log = world.services.operations.show(&world.access, task).await.unwrap();
    succeeded(&log);
    assert_eq!((log.operation, log.vault), (OperationType::Undelete, Some(vault.id)));
    assert_same(&world.services.backups.show(&world.access, backup.id).await.unwrap(), &backup);
    assert_eq!((world.trash().await.len(), world.reread(&vault).await.used), (0, used));
    succeeded(&world.restore(backup.id).await.unwrap());
    assert!([SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n))) == contents);
    let late = world.services.trash.purge(&world.access, backup.id).await;
    assert!(matches!(late, Err(Error::NotInTrash(_))), "{late:?}");
}

/// What has been in the trash for longer than the window goes by itself, and nothing before; AUD-01: what the
/// service does by itself is recorded as its own doing.
#[tokio::test]
async fn what_nobody_takes_back_is_purged_when_its_time_is_over() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let first = world.back_up(&vault).await;
    world.provider.write(id(VOLUME), 0, &[5; 4096]);
    let second = world.back_up(&vault).await;
    world.delete(&first).await;
    world.clock.advance(2 * DAY);
    world.delete(&second).await;
    assert_eq!(world.services.trash.sweep().await.unwrap(), 0);
    world.clock.advance(DAY);
    assert_eq!(world.services.trash.sweep().await.unwrap(), 1);
    assert_eq!(world.services.trash.sweep().await.unwrap(), 0, "it is at work already");
    world.settle().await;
    let traces = recorded(&world).await;
    assert!(traces[0].is_by_system() && traces[0].user_name == "system", "{traces:?}");
    assert_eq!((&*traces[0].name, &traces[0].resource_id), ("purgeBackup", &first.id.to_string()));
    assert!(traces[1..].iter().all(|trace| !trace.is_by_system()), "once, and nothing else");
    let left: Vec<_> = world.trash().await.iter().map(|one| one.backup.id).collect();
    assert_eq!((left, world.trashed_versions()), (vec![second.id], 1));
    let logs = world.logs().await;
    assert!(logs.iter().all(|log| log.operation != OperationType::Purge), "nobody asked for it");
    let task = world.services.trash.purge(&world.access, second.id).await.unwrap();
    world.settle().await;
    succeeded(&world.services.operations.show(&world.access, task).await.unwrap());
    assert_eq!((world.trash().await.len(), world.trashed_versions()), (0, 0));
    let late = world.services.trash.undelete(&world.access, second.id, None).await;
    assert!(matches!(late, Err(Error::NotInTrash(_))), "{late:?}");
}

/// P11, P22: what is given up is gone for good, so a clock that leaps gives up nothing: not for a day, and then
/// it has been set right.
#[tokio::test]
async fn a_clock_that_leaps_empties_no_trash() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.delete(&backup).await;
    let round = async || {
        world.services.expiry.sweep().await.unwrap();
        world.services.trash.sweep().await.unwrap()
    };
    assert_eq!(round().await, 0);
    let right = world.clock.now();
    world.clock.advance(3650 * DAY);
    assert_eq!(round().await, 0, "ahead");
    world.clock.set(right);
    assert_eq!(round().await, 0, "right again");
    for _ in 0..3 {
        world.clock.advance(DAY);
        assert_eq!(world.trash().await.len(), 1);
        world.services.expiry.sweep().await.unwrap();
    }
    assert_eq!(round().await, 1, "its time is over, by a clock that went on for a day");
}

/// P11, P22: on a machine that is on for ten hours each week the clock leaps with every start. What it showed the
/// first time counts when it has been watched for a day, and what is older than that goes.
#[tokio::test]
async fn a_machine_that_is_on_for_hours_empties_its_trash_in_the_end() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let [old, new] = [world.back_up(&vault).await, world.back_up(&vault).await];
    world.delete(&old).await;
    let weekend = async || {
        world.clock.advance(6 * DAY + DAY / 2);
        let mut purged = 0;
        for _ in 0..10 {
            world.clock.advance(DAY / 24);
            world.services.billing.sweep().await.unwrap();
            world.services.expiry.sweep().await.unwrap();
            purged += world.services.trash.sweep().await.unwrap();
            world.settle().await;
        }
        purged
    };
    world.services.billing.sweep().await.unwrap();
    world.services.expiry.sweep().await.unwrap();
    assert_eq!(weekend().await, 0);
    world.delete(&new).await;
    assert_eq!(weekend().await, 0);
    assert_eq!(weekend().await, 1, "a day of watching since the first weekend");
    let left: Vec<_> = world.trash().await.iter().map(|one| one.backup.id).collect();
    assert_eq!(left, [new.id], "that is younger than what has proven right");
}

/// BAK-31: after all backups of a disk were deleted the next one is a first one, whatever the trash has.
#[tokio::test]
async fn a_backup_after_all_were_deleted_counts_as_the_first() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let first = world.back_up(&vault).await;
    let used = world.reread(&vault).await.used;
    world.delete(&first).await;
    let next = world.back_up(&vault).await;
    assert!(!next.incremental, "the tenant sees no earlier one");
    assert_eq!(world.reread(&vault).await.used, used);
    // Its content builds on the trash all the same, and outlives it.
    world.clock.advance(4 * DAY);
    world.services.trash.sweep().await.unwrap();
    world.settle().await;
    assert_eq!(world.trashed_versions(), 0);
    let content = world.provider.content(id(VOLUME));
    world.provider.write(id(VOLUME), 0, &[9; 4096]);
    succeeded(&world.restore(next.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content);
}

/// VLT-60, VLT-61, VLT-81: the backups of a deleted vault are in the trash as well, and come back into
/// another vault that has room for them.
#[tokio::test]
async fn the_backups_of_a_deleted_vault_come_back_into_another() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.services.vaults.delete(&world.access, vault.id).await.unwrap();
    world.settle().await;
    assert_eq!((world.trash().await.len(), world.trashed_versions()), (1, 1));
    let gone = world.services.trash.undelete(&world.access, backup.id, None).await;
    assert!(matches!(gone, Err(Error::TrashVaultGone { .. })), "{gone:?}");
    let servers = world.vault(VaultKind::Server, &[SERVER]).await;
    let wrong = world.services.trash.undelete(&world.access, backup.id, Some(servers.id)).await;
    assert!(matches!(wrong, Err(Error::ResourceKindMismatch { .. })), "{wrong:?}");
    let other = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.services.trash.undelete(&world.access, backup.id, Some(other.id)).await.unwrap();
    let busy = world.services.vaults.delete(&world.access, other.id).await;
    assert!(matches!(busy, Err(Error::VaultBusy { .. })), "{busy:?}");
    world.settle().await;
    let back = world.services.backups.show(&world.access, backup.id).await.unwrap();
    assert_eq!((back.vault, back.name), (other.id, backup.name));
    succeeded(&world.restore(backup.id).await.unwrap());
}

/// VLT-57, VLT-81: a vault takes back what it has room for, and nothing while it is being deleted.
#[tokio::test]
async fn a_vault_takes_back_what_it_has_room_for() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let with = |used: u64| Vault { used: Bytes(used), ..vault.clone() };
    let size = vault.size.bytes().0;
    let room = logical_bytes(&backup).0;
    let none = Bytes(0);
    check_takes(&with(size - room), none, &backup).unwrap();
    for (used, coming) in [(size - room + 1, none), (size - 2 * room, Bytes(room + 1))] {
        let full = check_takes(&with(used), coming, &backup);
        assert!(matches!(full, Err(Error::VaultFull { .. })), "{full:?}");
    }
    let going = Vault { status: VaultStatus::Deleting, ..vault };
    let refused = check_takes(&going, none, &backup);
    assert!(matches!(refused, Err(Error::VaultStatus { .. })), "{refused:?}");
}

/// VLT-57: of two that are asked for before either is back, a vault with room for one takes one.
#[tokio::test]
async fn what_is_coming_back_takes_its_room_already() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let first = world.back_up(&vault).await;
    world.provider.write(id(VOLUME), 0, &[7; 300]);
    let second = world.back_up(&vault).await;
    assert!(logical_bytes(&second) > Bytes(0));
    // Fills the vault but for the first.
    let room = logical_bytes(&first).0;
    let mut filler = Backup { id: BackupId::from_uuid(uuid::Uuid::from_u128(77)), ..first.clone() };
    let BackupState::Available { content: Content::Disk(version) } = &mut filler.state else {
        panic!("{filler:?}");
    };
    version.logical_bytes = Bytes(vault.size.bytes().0 - room);
    for backup in [&first, &second] {
        world.delete(backup).await;
    }
    let other = world.vault(VaultKind::Disk, &[SECOND_VOLUME]).await;
    let run = world.back_up(&other).await;
    let mut tx = world.db.begin().await.unwrap();
    let filler = Backup { checkpoint: run.checkpoint, ..filler };
    tx.backups().insert(&filler).await.unwrap();
    tx.commit().await.unwrap();
    let trash = &world.services.trash;
    trash.undelete(&world.access, first.id, None).await.unwrap();
    let full = trash.undelete(&world.access, second.id, None).await;
    assert!(matches!(full, Err(Error::VaultFull { .. })), "{full:?}");
    world.settle().await;
    assert!(world.reread(&vault).await.used <= vault.size.bytes());
    let full = trash.undelete(&world.access, second.id, None).await;
    assert!(matches!(full, Err(Error::VaultFull { .. })), "{full:?}");
    trash.undelete(&world.access, second.id, Some(other.id)).await.unwrap();
    world.settle().await;
    assert_eq!(world.trash().await.len(), 0);
}

/// P8: what was deleted does not come back as live with a rebuilt database, and is still in the trash.
#[tokio::test]
async fn a_lost_database_does_not_bring_the_trash_back() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let deleted = world.back_up(&vault).await;
    let kept = world.back_up(&vault).await;
    world.delete(&deleted).await;
    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    let (backups, trashed) = (rebuilt.backups, rebuilt.trashed);
    assert_eq!((backups, trashed, rebuilt.incomplete), (1, 1, 0), "{rebuilt:?}");
    let again = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!(again, Rebuilt { known: 2, ..Rebuilt::default() });
    let findings = world.services.catalogue.doctor().await.unwrap();
    let store = findings.iter().filter(|finding| finding.subject == "store");
    assert!(store.map(|finding| finding.health).all(|health| health == Health::Good));
    let listed: Vec<_> = world.backups().await.into_iter().map(|backup| backup.id).collect();
    assert_eq!(listed, [kept.id]);
    assert_eq!(world.services.trash.sweep().await.unwrap(), 0, "its time begins anew");
    world.services.trash.undelete(&world.access, deleted.id, None).await.unwrap();
    world.settle().await;
    let back = world.services.backups.show(&world.access, deleted.id).await.unwrap();
    let ids = |backup: &Backup| backup.children.iter().map(|c| c.id).collect::<Vec<_>>();
    assert_eq!((ids(&back), &back.name), (ids(&deleted), &deleted.name));
    succeeded(&world.restore(deleted.id).await.unwrap());
}

/// P9: a sweep of the store leaves alone what is being taken back, and what is in the trash.
#[tokio::test]
async fn a_sweep_touches_nothing_of_the_trash() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.delete(&backup).await;
    world.services.sweeps.store().await.unwrap();
    assert_eq!(world.trashed_versions(), 1);
    // Half-way: its version is out of the trash, its row is not.
    let version = crate::content::reference(&crate::content::versions(&backup)[0]);
    world.store.repository.undelete(&version.chain, &[version.seq], None, "test").unwrap();
    world.services.sweeps.store().await.unwrap();
    assert_eq!(world.versions().len(), 1, "it belongs to a backup in the trash");
    world.services.trash.undelete(&world.access, backup.id, None).await.unwrap();
    world.settle().await;
    succeeded(&world.restore(backup.id).await.unwrap());
}

/// P3, P14.
#[tokio::test]
async fn a_crash_at_any_step_of_a_deletion_leaves_one_backup_in_the_trash() {
    let make = async || {
        let world = World::with_trash().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        let task = world.services.backups.delete(&world.access, backup.id).await.unwrap();
        world.with_task::<DeleteTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        assert_eq!(world.backups().await.len(), 0, "{fault:?}");
        assert_eq!((world.versions().len(), world.trashed_versions()), (0, 2), "{fault:?}");
        assert_eq!(world.trash().await.len(), 1, "{fault:?}");
    })
    .await;
}

/// P3, P14.
#[tokio::test]
async fn a_crash_at_any_step_of_taking_back_loses_nothing() {
    let make = async || {
        let world = World::with_trash().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        world.delete(&backup).await;
        let task = world.services.trash.undelete(&world.access, backup.id, None).await.unwrap();
        world.with_task::<UndeleteTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        assert_eq!(world.backups().await.len(), 1, "{fault:?}");
        let versions: usize = world.versions().values().sum();
        assert_eq!((versions, world.trashed_versions()), (2, 0), "{fault:?}");
        assert_eq!(world.trash().await.len(), 0, "{fault:?}");
    })
    .await;
}

/// P3, P14.
#[tokio::test]
async fn a_crash_at_any_step_of_a_purge_leaves_nothing() {
    let make = async || {
        let world = World::with_trash().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        world.delete(&backup).await;
        let task = world.services.trash.purge(&world.access, backup.id).await.unwrap();
        world.with_task::<PurgeBackupTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let left = (world.versions().len(), world.trashed_versions(), world.trash().await.len());
        assert_eq!(left, (0, 0, 0), "{fault:?}");
    })
    .await;
}

/// VLT-61, P3, P14.
#[tokio::test]
async fn a_crash_at_any_step_of_a_vaults_deletion_leaves_its_backups_in_the_trash() {
    let make = async || {
        let world = World::with_trash().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        world.back_up(&vault).await;
        world.provider.write(id(VOLUME), 3 * BLOCK, &[7; 4096]);
        world.back_up(&vault).await;
        let task = world.services.vaults.delete(&world.access, vault.id).await.unwrap();
        world.with_task::<PurgeTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        assert_eq!((world.versions().len(), world.trashed_versions()), (0, 2), "{fault:?}");
        assert_eq!(world.trash().await.len(), 2, "{fault:?}");
        let logs = world.logs().await;
        let log = logs.iter().find(|log| log.operation == OperationType::VaultDelete).unwrap();
        assert_eq!(log.status, OperationStatus::Success, "{fault:?}");
    })
    .await;
}
