//! Backups: from the request to the sealed version, and every way in which that can be interrupted.

use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::operation::{OperationDetails, OperationStatus};
use cbr_model::resource::ProtectStatus;
use cbr_model::size::Bytes;
use cbr_model::vault::VaultKind;
use cbr_provider::SnapshotName;
use cbr_provider::fake::{Fault as Break, Operation};
use cbr_task::Outcome;
use cbr_task::harness::{self, Fault, crash_matrix};

use super::world::{BLOCK, DATA_DISK, SERVER, SYSTEM_DISK, VOLUME, World, id, succeeded};
use crate::tasks::backup::BackupTask;

/// PRD-07, PRD-08, BAK-31, BAK-32, BAK-36: the first stores what is used, the next only what changed.
#[tokio::test]
async fn the_first_backup_is_full_and_the_next_holds_only_the_changes() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let first = world.back_up(&vault).await;
    assert!(!first.incremental);
    world.provider.write(id(VOLUME), 3 * BLOCK, &[7; 10]);
    let second = world.back_up(&vault).await;
    assert!(second.incremental);
    let logical = |state: &BackupState| match state.content() {
        Some(Content::Disk(version)) => version.logical_bytes,
        other => panic!("{other:?}"),
    };
    assert_eq!(logical(&first.state), Bytes(3 * BLOCK), "blocks 0, 7 and 8");
    assert_eq!(logical(&second.state), Bytes(BLOCK));
    let vault = world.reread(&vault).await;
    assert_eq!(vault.used, Bytes(4 * BLOCK), "P17: what the backups sum up to");
    assert_eq!(vault.resources[0].backup_count, 2);
    assert_eq!(vault.resources[0].protect_status, ProtectStatus::Available);
    let log = world.logs().await.remove(0);
    succeeded(&log);
    let OperationDetails::Backup { incremental, .. } = log.details else { panic!() };
    assert_eq!(incremental, Some(true));
}

/// BAK-30, BAK-34: what is backed up is blocks of the disk, whatever a file system thinks of them: its own notes count,
/// what it calls deleted is there as long as it is not overwritten, and a backup may be as large as the disk. A
/// change is found to the sector, also in the last one of a disk that is no multiple of the store's blocks.
#[tokio::test]
async fn a_backup_holds_sectors_and_not_files() {
    const ODD: u128 = 70;
    let size = 3 * BLOCK + 512;
    let world = World::new().await;
    world.provider.add_volume(id(ODD), "odd", size);
    let files: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251 + 1).unwrap()).collect();
    world.provider.write(id(ODD), 0, &files);
    let vault = world.vault(VaultKind::Disk, &[ODD]).await;
    let logical = |backup: &Backup| match backup.state.content() {
        Some(Content::Disk(version)) => version.logical_bytes.0,
        other => panic!("{other:?}"),
    };
    let whole = world.back_up(&vault).await;
    assert_eq!(logical(&whole), size, "as large as the disk");
    // All files are deleted: the file system notes it in its first sector, and wipes nothing.
    world.provider.write(id(ODD), 0, &[0xdd; 512]);
    let deleted = world.back_up(&vault).await;
    assert_eq!(logical(&deleted), BLOCK, "the block with that sector");
    world.provider.write(id(ODD), size - 512, &[0xee; 512]);
    let last = world.back_up(&vault).await;
    assert_eq!(logical(&last), BLOCK, "changes are counted in whole blocks, also at the end");

    world.provider.write(id(ODD), 0, &vec![0xff; files.len()]);
    succeeded(&world.restore(deleted.id).await.unwrap());
    let restored = world.provider.content(id(ODD));
    assert!(restored[512..] == files[512..], "what was deleted and not wiped");
    assert_eq!(restored[..512], [0xdd; 512]);
}

/// BAK-23: nothing limits how many backups a resource has. What limits them is the vault's capacity (VLT-81).
#[tokio::test]
async fn a_resource_has_any_number_of_backups() {
    const MANY: u64 = 130;
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    for _ in 0..MANY {
        world.start(&vault, true).await.unwrap();
        world.services.engine(cbr_task::Options::default()).run_due().await.unwrap();
    }
    let vault = world.reread(&vault).await;
    assert_eq!(vault.resources[0].backup_count, MANY);
    assert!(world.backups().await.iter().all(|backup| backup.state.as_str() == "available"));
}

/// BAK-08, BAK-38, BAK-39: a full backup shares nothing, and later ones build on it.
#[tokio::test]
async fn a_full_backup_begins_a_new_generation() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.back_up(&vault).await;
    let view = world.start(&vault, false).await.unwrap();
    world.settle().await;
    let full = world.backups_of(&view).await.remove(0);
    assert!(!full.incremental);
    let Some(Content::Disk(version)) = full.state.content() else { panic!("{full:?}") };
    assert_eq!((version.epoch, version.logical_bytes), (1, Bytes(3 * BLOCK)));
    let next = world.back_up(&vault).await;
    let Some(Content::Disk(version)) = next.state.content() else { panic!("{next:?}") };
    assert_eq!((version.epoch, version.logical_bytes), (1, Bytes(0)));
    assert!(next.incremental);
}

/// Design 9: one parent, one child for each disk, available together.
#[tokio::test]
async fn a_server_is_backed_up_with_all_its_disks() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    assert_eq!(backup.state.content(), Some(&Content::Server));
    assert!(backup.system_disk);
    let disks: Vec<_> = backup.children.iter().map(|c| (c.resource, c.system_disk)).collect();
    assert_eq!(disks, [(id(SYSTEM_DISK), true), (id(DATA_DISK), false)]);
    assert_eq!(backup.children[0].name.as_str(), "b_root");
    assert!(backup.children.iter().all(|child| child.state.as_str() == "available"));
    assert_eq!(world.reread(&vault).await.used, Bytes(6 * BLOCK));
}

/// P2, P3, P14: after any crash there is exactly one version per disk, the backup
/// is available, nothing is left open. This includes the crash between the store's
/// commit and the save of the database.
#[tokio::test]
async fn a_crash_at_any_step_neither_loses_nor_doubles_a_backup() {
    for (kind, resource, disks) in [(VaultKind::Disk, VOLUME, 1), (VaultKind::Server, SERVER, 2)] {
        let make = async || {
            let world = World::new().await;
            let vault = world.vault(kind, &[resource]).await;
            world.start(&vault, true).await.unwrap();
            let task = world.waiting().await;
            world.with_task::<BackupTask>(task)
        };
        crash_matrix(make, async |made, fault, ended| {
            let world: &World = made.keep.downcast_ref().unwrap();
            let backup = world.backups().await.remove(0);
            let is_cancelled = ended.outcome != Outcome::Success;
            assert!(!is_cancelled || matches!(fault, Fault::CancelBefore(_)), "{fault:?}");
            let versions: usize = world.versions().values().sum();
            if is_cancelled {
                assert_eq!((backup.state.as_str(), versions), ("error", 0), "{fault:?}");
                assert!(backup.children.iter().all(|c| c.state.as_str() == "error"), "{fault:?}");
            } else {
                assert_eq!((backup.state.as_str(), versions), ("available", disks), "{fault:?}");
            }
            assert_eq!(world.provider.open_snapshots(), 0, "{fault:?}");
            let vault = world.services.vaults.show(&world.access, backup.vault).await.unwrap();
            assert_eq!(vault.resources[0].protect_status, ProtectStatus::Available, "{fault:?}");
        })
        .await;
    }
}

/// BAK-51: it stays, in error, and can be deleted; nothing of it is in the store.
#[tokio::test]
async fn a_failed_backup_leaves_no_snapshot_open_and_nothing_stored() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    world.provider.set_bad_byte(id(DATA_DISK), Some(7 * BLOCK + 5));
    world.start(&vault, true).await.unwrap();
    world.settle().await;
    let backup = world.backups().await.remove(0);
    assert_eq!(backup.state.as_str(), "error");
    assert_eq!(world.versions().len(), 0, "the first disk was committed and is freed");
    assert_eq!(world.provider.open_snapshots(), 0);
    let log = world.logs().await.remove(0);
    assert_eq!(log.status, OperationStatus::Failed);
    assert!(log.error.unwrap().message.contains("cannot read the source"));

    world.provider.set_bad_byte(id(DATA_DISK), None);
    world.back_up(&vault).await;
    world.services.backups.delete(&world.access, backup.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await.len(), 1);
}

/// P1: what is no point in time is no backup.
#[tokio::test]
async fn a_disk_that_changed_while_it_was_read_makes_no_backup() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    let task = world.waiting().await;
    let provider = std::sync::Arc::clone(&world.provider);
    let made = world.with_task::<BackupTask>(task);
    // One step opens the snapshot; then it is torn; then the task goes on.
    harness_step(&made).await;
    provider.tear(&SnapshotName::for_task(task), id(VOLUME));
    let ended = harness::run(&made, Fault::None).await;
    let Outcome::Failed(failure) = ended.outcome else { panic!("{ended:?}") };
    assert!(failure.error.message.contains("changed while it was read"), "{failure:?}");
    let world: &World = made.keep.downcast_ref().unwrap();
    assert_eq!(world.versions().len(), 0);
}

/// Runs the first step of a task and saves it.
async fn harness_step(made: &harness::World<BackupTask>) {
    use cbr_provider::{BackupSource, DiskSelection};
    let world: &World = made.keep.downcast_ref().unwrap();
    let name = SnapshotName::for_task(made.task);
    // Opening again is a no-op, so the task finds this snapshot.
    world.provider.open(id(VOLUME), &DiskSelection::All, &name).await.unwrap();
}

/// Style 4 E: the outcome is decided before the snapshot closes.
#[tokio::test]
async fn a_sealed_backup_stays_sealed_when_its_snapshot_will_not_close() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.provider.fail(Operation::Close, 1, Break::Refused);
    world.start(&vault, true).await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await[0].state.as_str(), "available");
    succeeded(&world.logs().await[0]);
    assert_eq!(world.provider.open_snapshots(), 1, "left to the sweep");
    assert_eq!(world.services.sweeps.leftovers().await.unwrap(), 1);
    assert_eq!(world.provider.open_snapshots(), 0);
}

#[tokio::test]
async fn a_provider_that_is_away_for_a_while_only_delays_the_backup() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    for operation in [Operation::Open, Operation::OpenAnswer, Operation::Reader, Operation::Confirm]
    {
        world.provider.fail(operation, 2, Break::Unavailable);
        world.back_up(&vault).await;
    }
    let owners: Vec<usize> = world.versions().into_values().collect();
    assert_eq!(owners, [1, 1, 1, 1], "each task made one version, however often it tried");
}

/// BAK-25, RST-27: the second is skipped while the first runs.
#[tokio::test]
async fn a_resource_is_backed_up_once_at_a_time() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    let again = world.start(&vault, true).await;
    let Err(crate::Error::NothingToBackUp { skipped }) = again else { panic!("{again:?}") };
    assert_eq!(skipped[0].code, "BackupService.6125");
    world.settle().await;
    world.back_up(&vault).await;
}

/// VLT-80, VLT-81: a run that has begun is finished; the next does not begin. VLT-73: a vault
/// that may grow does.
#[tokio::test]
async fn a_full_vault_takes_no_further_backup_unless_it_may_grow() {
    let world = World::new().await;
    let big = 3 << 30;
    world.provider.add_volume(id(50), "big", 3 << 30);
    for at in (0..big).step_by(64 << 10) {
        if at > (1 << 30) + (1 << 20) {
            break;
        }
        world.provider.write(id(50), at, &[1]);
    }
    for may_grow in [false, true] {
        let wanted = crate::vaults::NewVault {
            size: cbr_model::size::Gib(1),
            auto_expand: may_grow,
            ..crate::rules::vault::tests::wanted()
        };
        let vault = world.services.vaults.create(&world.access, wanted).await.unwrap();
        // Bound when it was small; it has been enlarged since (RES-10).
        let bound =
            crate::rules::vault::tests::resource(50, cbr_model::resource::ResourceKind::Volume, 1);
        let mut tx = world.db.begin().await.unwrap();
        tx.bindings().insert(vault.id, &bound).await.unwrap();
        tx.commit().await.unwrap();
        world.back_up(&vault).await;
        let full = world.reread(&vault).await;
        assert!(full.used > cbr_model::size::Gib(1).bytes());
        if may_grow {
            assert_eq!(full.size, cbr_model::size::Gib(2));
            world.back_up(&vault).await;
        } else {
            let refused = world.start(&vault, true).await;
            assert!(matches!(refused, Err(crate::Error::VaultFull { .. })), "{refused:?}");
        }
        world.services.vaults.delete(&world.access, vault.id).await.unwrap();
        world.settle().await;
    }
}

/// BAK-24 (extension): a backup that is cancelled before it runs leaves nothing.
#[tokio::test]
async fn a_cancelled_backup_ends_in_error_and_a_finished_one_cannot_be_cancelled() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    let task = world.waiting().await;
    world.services.operations.cancel(&world.access, task).await.unwrap();
    world.settle().await;
    let log = world.services.operations.show(&world.access, task).await.unwrap();
    assert_eq!(log.status, OperationStatus::Failed);
    assert!(log.error.unwrap().message.contains("Cancelled"));
    assert_eq!(world.backups().await[0].state.as_str(), "error");
    let late = world.services.operations.cancel(&world.access, task).await;
    assert!(matches!(late, Err(crate::Error::OperationNotCancellable { .. })));
}
