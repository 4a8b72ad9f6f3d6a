//! Deleting backups, resources and vaults.

use cbr_model::operation::{OperationDetails, OperationStatus, OperationType};
use cbr_model::query::{Page, VaultFilter};
use cbr_model::resource::ProtectStatus;
use cbr_model::vault::VaultKind;
use cbr_provider::fake::{Fault, Operation};
use cbr_task::Outcome;
use cbr_task::harness::crash_matrix;

use super::world::{
    BLOCK, DATA_DISK, SERVER, SYSTEM_DISK, VOLUME, World, id, only, run, succeeded,
};
use crate::Error;
use crate::checkpoints::NewCheckpoint;
use crate::tasks::delete_backup::DeleteTask;
use crate::tasks::purge::PurgeTask;

/// PRD-09, PRD-10, BAK-36, BAK-37, BAK-70: the first may go, the rest stays restorable; what is freed was known before.
#[tokio::test]
async fn any_backup_can_be_deleted_and_the_others_stay_whole() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let first = world.back_up(&vault).await;
    world.provider.write(id(VOLUME), 7 * BLOCK, &[0x77; 100]);
    let content = world.provider.content(id(VOLUME));
    let second = world.back_up(&vault).await;
    let only = [first.id].into();
    let preview = world.services.backups.what_if(&world.access, &only).await.unwrap();
    assert!(preview.freed_bytes > 0, "the old block 7");
    assert_eq!(preview.backups[0].1.unique_bytes, preview.freed_bytes);
    assert_eq!(preview.logical_bytes, 3 * BLOCK);

    let task = world.services.backups.delete(&world.access, first.id).await.unwrap();
    assert_eq!(world.state(first.id).await.as_str(), "deleting");
    let twice = world.services.backups.delete(&world.access, first.id).await;
    assert!(matches!(twice, Err(Error::BackupNotDeletable { .. })));
    world.settle().await;
    succeeded(&world.services.operations.show(&world.access, task).await.unwrap());
    let gone = world.services.backups.show(&world.access, first.id).await;
    assert!(matches!(gone, Err(Error::BackupNotFound(_))));
    let run = world.services.checkpoints.show(&world.access, first.checkpoint).await;
    assert!(matches!(run, Err(Error::CheckpointNotFound(_))), "contract C24");

    world.provider.write(id(VOLUME), 0, &[0; 4096]);
    succeeded(&world.restore(second.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content);
    assert_eq!(world.reread(&vault).await.used.0, BLOCK, "P17");
}

/// BAK-75: a backup is deleted without anything being asked of its disk or of the server: it does not even notice that
/// they do not answer.
#[tokio::test]
async fn a_deletion_does_not_touch_the_server() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    world.back_up(&vault).await;
    let disks = [SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n)));
    for operation in [
        Operation::Inventory,
        Operation::Open,
        Operation::Reader,
        Operation::Confirm,
        Operation::Close,
        Operation::Prepare,
        Operation::Writer,
        Operation::Power,
        Operation::Delete,
        Operation::ChangeServer,
    ] {
        world.provider.fail(operation, usize::MAX, Fault::Refused);
    }
    let task = world.services.backups.delete(&world.access, backup.id).await.unwrap();
    // Once, without another attempt.
    world.services.engine(cbr_task::Options::default()).run_due().await.unwrap();
    succeeded(&world.services.operations.show(&world.access, task).await.unwrap());
    assert_eq!(world.backups().await.len(), 1);
    assert!([SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n))) == disks);
}

/// P3, P14.
#[tokio::test]
async fn a_crash_at_any_step_of_a_deletion_leaves_nothing() {
    let make = async || {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        let task = world.services.backups.delete(&world.access, backup.id).await.unwrap();
        world.with_task::<DeleteTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        assert_eq!(world.backups().await.len(), 0, "{fault:?}");
        assert_eq!(world.versions().len(), 0, "{fault:?}");
    })
    .await;
}

/// VLT-60, VLT-61: everything in it goes, whenever it is interrupted. Contract C7.
#[tokio::test]
async fn a_crash_at_any_step_of_a_vaults_deletion_leaves_nothing() {
    let make = async || {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME, 2]).await;
        for n in [VOLUME, 2] {
            let wanted = NewCheckpoint { resources: vec![only(n)], ..run(&vault) };
            world.services.checkpoints.create(&world.access, wanted).await.unwrap();
            world.settle().await;
        }
        let task = world.services.vaults.delete(&world.access, vault.id).await.unwrap();
        assert_eq!(world.reread(&vault).await.status.as_str(), "deleting");
        world.with_task::<PurgeTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let filter = VaultFilter::default();
        let vaults = world.services.vaults.list(&world.access, &filter, Page::default()).await;
        assert_eq!(vaults.unwrap().total, 0, "{fault:?}");
        assert_eq!(world.versions().len(), 0, "{fault:?}");
        let logs = world.logs().await;
        let log = logs.iter().find(|log| log.operation == OperationType::VaultDelete).unwrap();
        assert_eq!(log.details, OperationDetails::VaultDelete { total: 2, failed: 0 }, "{fault:?}");
    })
    .await;
}

/// RES-15: all backups of the resource go, the others stay; it can be bound again.
#[tokio::test]
async fn a_resource_leaves_its_vault_with_all_its_backups() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, 2]).await;
    world.start(&vault, true).await.unwrap();
    world.settle().await;
    world
        .services
        .vaults
        .remove_resources(&world.access, vault.id, vec![id(VOLUME)])
        .await
        .unwrap();
    let status = world.reread(&vault).await.resources[0].protect_status;
    assert_eq!(status, ProtectStatus::Removing);
    let twice =
        world.services.vaults.remove_resources(&world.access, vault.id, vec![id(VOLUME)]).await;
    assert!(matches!(twice, Err(Error::ResourceRemoving { .. })));
    world.settle().await;
    let vault = world.reread(&vault).await;
    assert_eq!(vault.resources.len(), 1);
    let left: Vec<_> = world.backups().await.into_iter().map(|b| b.resource).collect();
    assert_eq!(left, [id(2)]);
    assert_eq!(world.versions().len(), 1);
    let again = crate::vaults::WantedResource {
        id: id(VOLUME),
        kind: cbr_model::resource::ResourceKind::Volume.into(),
        exclude_volumes: Vec::new(),
        include_volumes: Vec::new(),
    };
    world.services.vaults.add_resources(&world.access, vault.id, vec![again]).await.unwrap();
    let stranger = world.services.vaults.remove_resources(&world.access, vault.id, vec![id(77)]);
    assert!(matches!(stranger.await, Err(Error::ResourceNotInVault { .. })));
}

/// RES-17: a running backup is waited for, then deleted with the others.
#[tokio::test]
async fn a_resource_that_is_being_backed_up_leaves_afterwards() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    world
        .services
        .vaults
        .remove_resources(&world.access, vault.id, vec![id(VOLUME)])
        .await
        .unwrap();
    world.settle().await;
    let logs = world.logs().await;
    let of = |kind| logs.iter().find(|log| log.operation == kind).unwrap().status;
    assert_eq!(of(OperationType::Backup), OperationStatus::Success);
    assert_eq!(of(OperationType::RemoveResource), OperationStatus::Success);
    assert_eq!(world.reread(&vault).await.resources.len(), 0);
    assert_eq!(world.versions().len(), 0);
}

/// VLT-63, VLT-57: a vault at work stays, and nothing of a vault that goes is touched.
#[tokio::test]
async fn a_vault_at_work_is_not_deleted_and_one_that_goes_is_left_alone() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.start(&vault, true).await.unwrap();
    let busy = world.services.vaults.delete(&world.access, vault.id).await;
    assert!(matches!(busy, Err(Error::VaultBusy { .. })));
    world.settle().await;
    world.services.vaults.delete(&world.access, vault.id).await.unwrap();
    let single = world.services.backups.delete(&world.access, backup.id).await;
    assert!(matches!(single, Err(Error::VaultStatus { .. })), "{single:?}");
    let run = world.start(&vault, true).await;
    assert!(matches!(run, Err(Error::VaultStatusForbidsBackup { .. })), "{run:?}");
    let again = world.services.vaults.delete(&world.access, vault.id).await;
    assert!(matches!(again, Err(Error::VaultNotDeletable { .. })));
}

/// VLT-55: what cannot be deleted is passed over; the vault is in error and can be deleted again.
#[tokio::test]
async fn a_vault_with_a_damaged_backup_keeps_it_and_says_so() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, 2]).await;
    world.start(&vault, true).await.unwrap();
    world.settle().await;
    let damaged = world.backups().await.into_iter().find(|b| b.resource == id(2)).unwrap();
    world.damage_commit(&damaged);
    world.services.vaults.delete(&world.access, vault.id).await.unwrap();
    world.settle().await;
    let left = world.backups().await;
    assert_eq!((left.len(), left[0].id, left[0].state.as_str()), (1, damaged.id, "error"));
    assert_eq!(world.reread(&vault).await.status.as_str(), "error");
    let logs = world.logs().await;
    let log = logs.iter().find(|log| log.operation == OperationType::VaultDelete).unwrap();
    assert_eq!(log.status, OperationStatus::Failed);
    assert_eq!(log.details, OperationDetails::VaultDelete { total: 2, failed: 1 });
    assert_eq!(log.error.as_ref().unwrap().code, "BackupService.6115");
}
