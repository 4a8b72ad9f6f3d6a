//! Restores in place.

use cbr_model::operation::OperationStatus;
use cbr_model::resource::ProtectStatus;
use cbr_model::vault::{VaultKind, VaultStatus};
use cbr_model::{BackupId, ResourceId};
use cbr_provider::ServerStatus;
use cbr_provider::fake::{Fault as Break, Operation};
use cbr_task::Outcome;
use cbr_task::harness::crash_matrix;

use super::volumes::empty;
use super::world::{
    BLOCK, DATA_DISK, DISK_BYTES, SERVER, SYSTEM_DISK, VOLUME, World, id, in_place, succeeded,
};
use crate::Error;
use crate::backups::{DiskMapping, RestoreRequest};
use crate::tasks::restore::RestoreTask;
use crate::volumes::NewVolumeRequest;

/// Damages a disk in a place that was written and in one that was not.
fn spoil(world: &World, volume: u128) {
    world.provider.write(id(volume), 7 * BLOCK, &[0xee; 5000]);
    world.provider.write(id(volume), 15 * BLOCK, &[0xee; 5000]);
}

/// RST-12, RST-24, RST-46: any of several backups brings its own point in time back, and is available again.
#[tokio::test]
async fn every_backup_restores_its_own_bytes() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let mut points = Vec::new();
    for at in [0, 3, 7] {
        world.provider.write(id(VOLUME), at * BLOCK + 9, &[0x40 + u8::try_from(at).unwrap(); 70]);
        let content = world.provider.content(id(VOLUME));
        points.push((world.back_up(&vault).await, content));
    }
    for (backup, content) in points {
        spoil(&world, VOLUME);
        succeeded(&world.restore(backup.id).await.unwrap());
        assert!(world.provider.content(id(VOLUME)) == content, "{}", backup.name);
        assert_eq!(world.state(backup.id).await.as_str(), "available");
    }
    assert_eq!(world.reread(&vault).await.resources[0].protect_status, ProtectStatus::Available);
}

/// RST-07, RST-08: the server is stopped, its disks written, and it is started if that is wished.
#[tokio::test]
async fn a_server_is_stopped_restored_and_started() {
    let world = World::new().await;
    world.provider.set_server_status(id(SERVER), ServerStatus::Running);
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let before = [SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n)));
    for power_on in [true, false] {
        spoil(&world, SYSTEM_DISK);
        spoil(&world, DATA_DISK);
        let request = RestoreRequest { power_on, ..in_place() };
        world.services.backups.restore(&world.access, backup.id, request).await.unwrap();
        world.settle().await;
        succeeded(&world.logs().await[0]);
        assert!([SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n))) == before);
        let server = world.services.servers.show(&world.access, id(SERVER)).await.unwrap();
        assert_eq!(server.status.as_str() == "ACTIVE", power_on);
    }
}

/// Of a server that has no commands nobody could say again that it is off.
#[tokio::test]
async fn a_server_without_commands_is_not_started() {
    let world = World::new().await;
    world.provider.take_commands(id(SERVER));
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    world.services.backups.restore(&world.access, backup.id, in_place()).await.unwrap();
    world.settle().await;
    succeeded(&world.logs().await[0]);
    let server = world.services.servers.show(&world.access, id(SERVER)).await.unwrap();
    assert_eq!(server.status.as_str(), "SHUTOFF");
}

/// RST-07: a stop that fails may have stopped the server all the same; as nothing was written it starts again.
#[tokio::test]
async fn a_server_whose_stop_failed_runs_again() {
    let world = World::new().await;
    world.provider.set_server_status(id(SERVER), ServerStatus::Running);
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    world.provider.fail(Operation::PowerAnswer, 1, Break::Refused);
    let log = world.restore(backup.id).await.unwrap();
    assert_eq!(log.status, OperationStatus::Failed);
    let server = world.services.servers.show(&world.access, id(SERVER)).await.unwrap();
    assert_eq!(server.status.as_str(), "ACTIVE");
    assert_eq!(world.reread(&vault).await.resources[0].protect_status, ProtectStatus::Available);
    assert_eq!(world.state(backup.id).await.as_str(), "available");
}

/// P1, P14, RST-23: however it is interrupted, the disk is whole in the end; it cannot be cancelled.
#[tokio::test]
async fn a_crash_at_any_step_of_a_restore_changes_nothing() {
    for (kind, resource) in [(VaultKind::Disk, VOLUME), (VaultKind::Server, SERVER)] {
        let make = async || {
            let world = World::new().await;
            let vault = world.vault(kind, &[resource]).await;
            let backup = world.back_up(&vault).await;
            for n in [VOLUME, SYSTEM_DISK, DATA_DISK] {
                spoil(&world, n);
            }
            let task = world.services.backups.restore(&world.access, backup.id, in_place()).await;
            world.with_task::<RestoreTask>(task.unwrap())
        };
        let untouched = World::new().await;
        crash_matrix(make, async |made, fault, ended| {
            let world: &World = made.keep.downcast_ref().unwrap();
            assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
            let disks: &[u128] =
                if kind == VaultKind::Disk { &[VOLUME] } else { &[SYSTEM_DISK, DATA_DISK] };
            for &n in disks {
                let (got, want) =
                    (world.provider.content(id(n)), untouched.provider.content(id(n)));
                assert!(got == want, "disk {n}: {fault:?}");
            }
            assert_eq!(world.provider.open_restores(), 0, "{fault:?}");
            let backup = world.backups().await.remove(0);
            assert_eq!(backup.state.as_str(), "available", "{fault:?}");
            let vault = world.services.vaults.show(&world.access, backup.vault).await.unwrap();
            assert_eq!(vault.resources[0].protect_status, ProtectStatus::Available, "{fault:?}");
        })
        .await;
    }
}

/// P1, RST-13: a half-written disk is marked, the failure is on the task, the backup stays usable (Y.2),
/// and another restore repairs the disk.
#[tokio::test]
async fn a_failed_restore_marks_the_disk_until_another_one_succeeds() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let content = world.provider.content(id(VOLUME));
    let backup = world.back_up(&vault).await;
    spoil(&world, VOLUME);
    world.provider.set_bad_byte(id(VOLUME), Some(7 * BLOCK));
    let log = world.restore(backup.id).await.unwrap();
    assert_eq!(log.status, OperationStatus::Failed);
    assert_eq!(world.state(backup.id).await.as_str(), "available");
    let volume = world.services.volumes.show(&world.access, id(VOLUME)).await.unwrap();
    assert_eq!(volume.status.as_str(), "error");
    assert_eq!(world.reread(&vault).await.resources[0].protect_status, ProtectStatus::Error);
    let refused = world.start(&vault, true).await;
    assert!(matches!(refused, Err(Error::NothingToBackUp { .. })), "it is no point in time");

    world.provider.set_bad_byte(id(VOLUME), None);
    succeeded(&world.restore(backup.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content);
    assert_eq!(world.reread(&vault).await.resources[0].protect_status, ProtectStatus::Available);
}

/// RST-07: the data are back even if the server does not start; the task says so.
#[tokio::test]
async fn a_server_that_does_not_start_is_restored_all_the_same() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let task = world.services.backups.restore(&world.access, backup.id, in_place()).await.unwrap();
    // The task stands before its last step when the server turns out to be broken.
    let mut tx = world.db.begin().await.unwrap();
    let record = tx.operations().find(vault.project, task).await.unwrap().unwrap();
    let RestoreTask::Stop { job } = serde_json::from_str(&record.stage).unwrap() else { panic!() };
    let last = serde_json::to_string(&RestoreTask::Start { job }).unwrap();
    let (kinds, node) = ([<RestoreTask as cbr_task::Task>::KIND], "node");
    let claim = cbr_db::Claim { node, kinds: &kinds, lease_until: tx.now() };
    let claimed = tx.tasks().claim(&claim).await.unwrap().unwrap();
    assert!(tx.tasks().save(task, claimed.fencing, &last, 90).await.unwrap());
    tx.commit().await.unwrap();
    let fault = ServerStatus::Fault { why: "no power".into() };
    world.provider.set_server_status(id(SERVER), fault);
    world.settle().await;
    let log = world.services.operations.show(&world.access, task).await.unwrap();
    assert_eq!(log.status, OperationStatus::Failed);
    let message = log.error.unwrap().message;
    assert!(message.contains("restored, but") && message.contains("no power"), "{message}");
    assert_eq!(world.reread(&vault).await.resources[0].protect_status, ProtectStatus::Available);
    assert_eq!(world.state(backup.id).await.as_str(), "available");
}

/// P1, RST-07, RST-40: no disk of a server is written before all may be; what was refused leaves the
/// server as it was, running.
#[tokio::test]
async fn a_disk_that_may_not_be_written_keeps_the_others_from_being_written() {
    for refused in [SYSTEM_DISK, DATA_DISK] {
        let world = World::new().await;
        world.provider.set_server_status(id(SERVER), ServerStatus::Running);
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        spoil(&world, SYSTEM_DISK);
        spoil(&world, DATA_DISK);
        let before = [SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n)));
        world.provider.set_busy(id(refused), Some("another server has it"));
        let log = world.restore(backup.id).await.unwrap();
        assert_eq!(log.status, OperationStatus::Failed);
        let message = log.error.unwrap().message;
        assert!(message.contains("another server has it"), "{message}");
        assert!([SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n))) == before);
        assert_eq!(world.provider.open_restores(), 0);
        for disk in [SYSTEM_DISK, DATA_DISK] {
            let volume = world.services.volumes.show(&world.access, id(disk)).await.unwrap();
            assert_ne!(volume.status.as_str(), "error", "disk {disk}");
        }
        let server = world.services.servers.show(&world.access, id(SERVER)).await.unwrap();
        assert_eq!(server.status.as_str(), "ACTIVE");
        let bound = world.reread(&vault).await.resources[0].protect_status;
        assert_eq!(bound, ProtectStatus::Available);

        world.provider.set_busy(id(refused), None);
        succeeded(&world.restore(backup.id).await.unwrap());
    }
}

/// A provider that is away for a while only delays a restore.
#[tokio::test]
async fn every_call_of_a_restore_is_tried_again() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let before = world.provider.content(id(DATA_DISK));
    let backup = world.back_up(&vault).await;
    for operation in [Operation::Power, Operation::Prepare, Operation::Writer, Operation::Finish] {
        spoil(&world, DATA_DISK);
        world.provider.fail(operation, 2, Break::Unavailable);
        succeeded(&world.restore(backup.id).await.unwrap());
        assert!(world.provider.content(id(DATA_DISK)) == before, "{operation:?}");
    }
}

/// RST-25, RST-27, RST-41, RST-42, VLT-56, Y.1, Y.2: each refusal says what to do, with nothing changed.
#[tokio::test]
async fn what_forbids_a_restore() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let ask = async |request: RestoreRequest| {
        world.services.backups.restore(&world.access, backup.id, request).await
    };
    let elsewhere = RestoreRequest { volume: Some(id(2)), ..in_place() };
    assert!(matches!(ask(elsewhere).await, Err(Error::RestoreElsewhere { .. })));
    let absent = BackupId::from_uuid(uuid::Uuid::from_u128(99));
    let none = world.services.backups.restore(&world.access, absent, in_place()).await;
    assert!(matches!(none, Err(Error::BackupNotFound(_))));

    world.start(&vault, true).await.unwrap();
    assert!(matches!(ask(in_place()).await, Err(Error::ResourceBackingUp(_))));
    world.settle().await;

    world.provider.set_busy(id(VOLUME), Some("qemu"));
    let in_use = ask(in_place()).await;
    assert!(matches!(in_use, Err(Error::VolumeStatusForbidsRestore { .. })), "{in_use:?}");
    let told = in_use.unwrap_err().to_string();
    assert!(told.contains("stop the server") && told.contains("detach"), "{told}");
    world.provider.set_busy(id(VOLUME), None);

    let mut tx = world.db.begin().await.unwrap();
    let (from, to) = ([VaultStatus::Available], VaultStatus::Frozen);
    tx.vaults().change_status(vault.project, vault.id, &from, to).await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(ask(in_place()).await, Err(Error::VaultStatusForbidsRestore { .. })));
    assert_eq!(world.state(backup.id).await.as_str(), "available");
}

/// RST-43: a server that got a new system has another system disk; the backup of the old one does not go over it,
/// and says which way there is. The way is there.
#[tokio::test]
async fn what_was_replaced_since_is_not_overwritten_and_the_way_is_named() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let before = world.provider.content(id(VOLUME));
    let backup = world.back_up(&vault).await;
    world.provider.remove(id(VOLUME));
    world.provider.add_volume(id(77), "one", DISK_BYTES);
    let new = world.provider.content(id(77));
    let ask = async |volume: Option<ResourceId>| {
        let request = RestoreRequest { volume, ..in_place() };
        let refused = world.services.backups.restore(&world.access, backup.id, request).await;
        refused.unwrap_err()
    };
    assert!(matches!(ask(Some(id(77))).await, Error::RestoreElsewhere { .. }));
    let gone = ask(None).await;
    assert!(matches!(gone, Error::RestoreTargetGone { .. }), "{gone:?}");
    assert!(gone.to_string().contains("create a disk from the backup"), "{gone}");
    assert!(world.provider.content(id(77)) == new, "nothing was written");
    assert_eq!(world.state(backup.id).await.as_str(), "available");

    let servers = world.vault(VaultKind::Server, &[SERVER]).await;
    let whole = world.back_up(&servers).await;
    world.provider.remove(id(SERVER));
    let gone = world.services.backups.restore(&world.access, whole.id, in_place()).await;
    let gone = gone.unwrap_err().to_string();
    assert!(gone.starts_with("server ") && gone.contains("make an image of the backup"), "{gone}");

    let wanted = NewVolumeRequest { backup: Some(backup.id), size: None, ..empty() };
    let started = world.services.volumes.create(&world.access, wanted).await.unwrap();
    world.settle().await;
    assert!(world.provider.head(started.volume, before.len()) == before);
}

/// RST-17: a disk that was enlarged since is restored, and stays as large as it is.
#[tokio::test]
async fn a_disk_that_was_enlarged_is_restored_and_stays_as_large() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let before = world.provider.content(id(VOLUME));
    let backup = world.back_up(&vault).await;
    world.provider.remove(id(VOLUME));
    let larger = DISK_BYTES + 10 * BLOCK;
    world.provider.add_volume(id(VOLUME), "one", larger);
    spoil(&world, VOLUME);
    succeeded(&world.restore(backup.id).await.unwrap());
    let after = world.provider.content(id(VOLUME));
    assert_eq!(after.len() as u64, larger);
    assert!(after[..before.len()] == before);
}

/// RST-08: a child can go to another disk of the same server.
#[tokio::test]
async fn a_data_disk_goes_to_the_disk_that_is_chosen() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    world.provider.add_volume(id(13), "spare", 30 * BLOCK);
    world.provider.attach(id(SERVER), id(13));
    let data = world.provider.content(id(DATA_DISK));
    let child = backup.children.iter().find(|child| child.resource == id(DATA_DISK)).unwrap();
    let mapping = DiskMapping { backup: child.id, volume: id(13) };
    let request = RestoreRequest { mappings: vec![mapping], ..in_place() };
    world.services.backups.restore(&world.access, backup.id, request).await.unwrap();
    world.settle().await;
    succeeded(&world.logs().await[0]);
    assert!(world.provider.content(id(13))[..data.len()] == data);
}
