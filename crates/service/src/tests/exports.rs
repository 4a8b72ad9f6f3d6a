//! Backups given out as disks.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use cbr_env::SystemClock;
use cbr_model::ExportId;
use cbr_model::vault::VaultKind;
use cbr_nbd::{Client, Wishes};

use super::world::{BLOCK, DATA_DISK, DISK_BYTES, SERVER, VOLUME, World, id};
use crate::Error;
use crate::exports::{ExportStatus, ExportView};

async fn connect(export: &ExportView) -> Client {
    let clock = Arc::new(SystemClock::default());
    Client::connect_unix(&export.socket, Wishes::new(""), clock).await.unwrap()
}

async fn content(client: &Client) -> Vec<u8> {
    client.read(0, u32::try_from(DISK_BYTES).unwrap()).await.unwrap()
}

fn mode(path: &std::path::Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// P1, P5: what is exported is what was backed up, and it does not go while it is read.
#[tokio::test]
async fn an_exported_backup_is_the_disk_and_cannot_be_deleted() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let before = world.provider.content(id(VOLUME));
    world.provider.write(id(VOLUME), 0, &[0x55; 4096]);
    let (exports, access) = (&world.services.exports, &world.access);

    let export = exports.create(access, backup.id, false).await.unwrap();
    assert_eq!(export.status, ExportStatus::Open);
    assert_eq!((mode(&export.socket), mode(export.socket.parent().unwrap())), (0o600, 0o700));
    let client = connect(&export).await;
    assert!(client.info().read_only);
    assert!(content(&client).await == before);
    let map = client.extents("base:allocation", 0..DISK_BYTES).await.unwrap();
    let runs: Vec<_> = map.iter().map(|extent| (extent.length / BLOCK, extent.is_zero())).collect();
    assert_eq!(runs, [(1, false), (6, true), (2, false), (11, true)]);

    let backups = &world.services.backups;
    let refused = backups.delete(access, backup.id).await;
    assert!(matches!(refused, Err(Error::BackupExported(_))), "{refused:?}");
    let refused = world.services.vaults.delete(access, vault.id).await;
    assert!(matches!(refused, Err(Error::BackupExported(_))), "{refused:?}");
    let refused = world.services.vaults.remove_resources(access, vault.id, vec![id(VOLUME)]).await;
    assert!(matches!(refused, Err(Error::BackupExported(_))), "{refused:?}");

    let listed = exports.list(access, None).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&export));
    let absent = exports.delete(access, backup.id, ExportId::from_uuid(uuid::Uuid::nil())).await;
    assert!(matches!(absent, Err(Error::ExportNotFound(_))), "{absent:?}");
    exports.delete(access, backup.id, export.export.id).await.unwrap();
    assert!(!export.socket.exists());
    client.read(0, 512).await.expect_err("the export has ended");
    assert_eq!(exports.list(access, Some(backup.id)).await.unwrap(), []);
    backups.delete(access, backup.id).await.unwrap();
    world.settle().await;
}

#[tokio::test]
async fn what_is_written_to_an_export_outlives_the_process_but_not_the_export() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let before = world.provider.content(id(VOLUME));
    let (exports, access) = (&world.services.exports, &world.access);

    let export = exports.create(access, backup.id, true).await.unwrap();
    let overlay = export.socket.with_extension("");
    let client = connect(&export).await;
    client.write(BLOCK - 10, &[0xaa; 20], false).await.unwrap();
    client.flush().await.unwrap();
    exports.shut_down().await;
    client.read(0, 512).await.expect_err("nobody serves it");
    let listed = exports.list(access, None).await.unwrap();
    assert_eq!(listed[0].status, ExportStatus::Error);

    assert_eq!(exports.reconcile().await.unwrap(), 1);
    assert_eq!(exports.reconcile().await.unwrap(), 0, "nothing is left to be done");
    let mut written = before.clone();
    let at = usize::try_from(BLOCK).unwrap() - 10;
    written[at..at + 20].fill(0xaa);
    assert!(content(&connect(&export).await).await == written);
    let beside = exports.create(access, backup.id, false).await.unwrap();
    assert!(content(&connect(&beside).await).await == before, "the backup is as it was");

    assert!(overlay.exists());
    exports.delete(access, backup.id, export.export.id).await.unwrap();
    assert!(!overlay.exists());
}

/// A crash between the steps of a deletion: the next round ends it.
#[tokio::test]
async fn an_export_that_was_being_ended_is_ended_after_a_crash() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let (exports, access) = (&world.services.exports, &world.access);
    let export = exports.create(access, backup.id, true).await.unwrap();
    exports.shut_down().await;
    let mut tx = world.db.begin().await.unwrap();
    tx.exports().begin_close(export.export.project, export.export.id).await.unwrap();
    tx.commit().await.unwrap();
    let listed = exports.list(access, None).await.unwrap();
    assert_eq!(listed[0].status, ExportStatus::Closing);
    assert_eq!(exports.reconcile().await.unwrap(), 1);
    assert_eq!(exports.list(access, None).await.unwrap(), []);
    assert!(!export.socket.with_extension("").exists());
}

#[tokio::test]
async fn the_disks_of_a_server_are_exported_one_by_one_and_not_too_many() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let (exports, access) = (&world.services.exports, &world.access);
    let whole = exports.create(access, backup.id, false).await;
    assert!(matches!(whole, Err(Error::Invalid { field: "backup_id", .. })), "{whole:?}");
    let disk = backup.children.iter().find(|disk| disk.resource == id(DATA_DISK)).unwrap();
    let export = exports.create(access, disk.id, false).await.unwrap();
    assert!(content(&connect(&export).await).await == world.provider.content(id(DATA_DISK)));
    let refused = world.services.backups.delete(access, backup.id).await;
    assert!(matches!(refused, Err(Error::BackupExported(of)) if of == disk.id), "{refused:?}");
    let refused = world.services.vaults.remove_resources(access, vault.id, vec![id(SERVER)]).await;
    assert!(matches!(refused, Err(Error::BackupExported(_))), "{refused:?}");

    for _ in 1..16 {
        exports.create(access, disk.id, false).await.unwrap();
    }
    let refused = exports.create(access, disk.id, false).await;
    assert!(matches!(refused, Err(Error::TooManyExports { limit: 16 })), "{refused:?}");
}
