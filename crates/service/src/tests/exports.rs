//! Backups given out as disks.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::task::Poll;

use cbr_env::SystemClock;
use cbr_model::ExportId;
use cbr_model::export::Export;
use cbr_model::vault::VaultKind;
use cbr_nbd::{Client, Wishes};

use super::world::{BLOCK, DATA_DISK, DISK_BYTES, SERVER, VOLUME, World, id};
use crate::exports::{ExportStatus, ExportView, Exports};
use crate::{Access, Error};

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

/// P3: a client that hangs up while its export is made leaves none that is not open, and no second one in its way.
#[tokio::test]
async fn an_export_is_opened_though_its_client_hangs_up() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let (exports, access) = (&world.services.exports, &world.access);
    let is_there = async || {
        while exports.list(access, None).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..100 {
        let hung_up = tokio::select! {
            biased;
            () = is_there() => true,
            made = exports.create(access, backup.id, true) => {
                // It was faster: once more.
                exports.delete(access, backup.id, made.unwrap().export.id).await.unwrap();
                false
            }
        };
        if hung_up {
            exports.at_rest().await;
            let [export] = &exports.list(access, None).await.unwrap()[..] else { panic!("one") };
            assert_eq!(export.status, ExportStatus::Open);
            connect(export).await;
            exports.delete(access, backup.id, export.export.id).await.unwrap();
            return;
        }
    }
    panic!("the row was never seen before the answer");
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

/// P2: an overlay that is gone is an error until the export is deleted, and never an empty disk.
#[tokio::test]
async fn an_export_whose_overlay_is_gone_is_not_given_out_as_if_nothing_had_been_written() {
    for lost in ["", "journal", "data"] {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let backup = world.back_up(&vault).await;
        let (exports, access) = (&world.services.exports, &world.access);
        let export = exports.create(access, backup.id, true).await.unwrap();
        let client = connect(&export).await;
        client.write(10, b"acknowledged", false).await.unwrap();
        client.flush().await.unwrap();
        exports.shut_down().await;
        let overlay = export.socket.with_extension("");
        if lost.is_empty() {
            std::fs::remove_dir_all(&overlay).unwrap();
        } else {
            std::fs::remove_file(overlay.join(lost)).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(exports.reconcile().await.unwrap(), 0, "{lost}");
            let listed = exports.list(access, None).await.unwrap();
            assert_eq!(listed[0].status, ExportStatus::Error, "{lost}");
            assert!(!export.socket.exists(), "{lost}");
        }
        exports.delete(access, backup.id, export.export.id).await.unwrap();
    }
}

/// P3: a process that dies while it makes an export, whose answer nobody has, leaves nothing: no row that keeps
/// the backup, no place. Once the place is noted it is an export as any other.
#[tokio::test]
async fn a_crash_while_an_export_is_made_leaves_no_export_or_a_whole_one() {
    for (writable, crash) in
        [(true, "no place"), (true, "half a place"), (true, "a place"), (false, "no place")]
    {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let backup = world.back_up(&vault).await;
        let (exports, access) = (&world.services.exports, &world.access);
        let whole = exports.create(access, backup.id, writable).await.unwrap();
        exports.shut_down().await;
        // What there is before the note: the row, and what was made of the place.
        let (export, place) = (whole.export.clone(), whole.socket.with_extension(""));
        let mut tx = world.db.begin().await.unwrap();
        tx.exports().begin_close(export.project, export.id).await.unwrap();
        assert!(tx.exports().delete(export.id).await.unwrap());
        tx.exports().insert(&Export { opened: false, ..export }).await.unwrap();
        tx.commit().await.unwrap();
        match crash {
            "half a place" => std::fs::remove_file(place.join("journal")).unwrap(),
            "no place" if writable => std::fs::remove_dir_all(&place).unwrap(),
            _ => {}
        }
        let listed = exports.list(access, None).await.unwrap();
        assert_eq!(listed[0].status, ExportStatus::Opening, "{crash}");
        let refused = world.services.backups.delete(access, backup.id).await;
        assert!(matches!(refused, Err(Error::BackupExported(_))), "{refused:?}");

        assert_eq!(exports.reconcile().await.unwrap(), 1, "{crash}");
        assert_eq!(exports.list(access, None).await.unwrap(), [], "{crash}");
        assert!(!place.exists() && !whole.socket.exists(), "{crash}");
        world.services.backups.delete(access, backup.id).await.unwrap();
        world.settle().await;
    }
}

/// The same when the client hangs up, which drops its request wherever it is.
#[tokio::test]
async fn an_export_whose_client_hangs_up_is_whole_or_gone() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let (exports, access) = (&world.services.exports, &world.access);
    let (mut has_left_one, mut polls) = (false, 0);
    // How often a request is asked until it answers is not the same each time: it is gone through until one
    // was dropped where it matters, a hundred times at most.
    for _ in 0..100 {
        while !has_left_one {
            let made = {
                let request = std::pin::pin!(exports.create(access, backup.id, true));
                polled(request, polls).await
            };
            let left = exports.list(access, None).await.unwrap();
            has_left_one |= made.is_none() && !left.is_empty();
            let mut kept = rounded(exports, access).await;
            // A commit that was under way when its request was dropped may come after a round.
            for _ in 0..100 {
                if kept.iter().any(|export| export.status != ExportStatus::Open) {
                    kept = rounded(exports, access).await;
                }
            }
            assert!(kept.iter().all(|export| export.status == ExportStatus::Open), "{kept:?}");
            assert!(made.is_none() || kept.len() == 1, "{kept:?}");
            for export in kept {
                exports.delete(access, backup.id, export.export.id).await.unwrap();
            }
            polls += 1;
            if made.is_some() {
                polls = 0;
                break;
            }
        }
    }
    assert!(has_left_one, "no request was dropped between its row and its note");
    world.services.backups.delete(access, backup.id).await.unwrap();
    world.settle().await;
}

/// What is listed after a round.
async fn rounded(exports: &Exports, access: &Access) -> Vec<ExportView> {
    exports.reconcile().await.unwrap();
    exports.list(access, None).await.unwrap()
}

/// The answer, unless it takes more than so many times of asking.
async fn polled<F: Future>(mut request: std::pin::Pin<&mut F>, polls: usize) -> Option<F::Output> {
    let mut left = polls;
    std::future::poll_fn(|context| match request.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// One that cannot be removed keeps none of the others closed.
#[tokio::test]
async fn an_export_that_cannot_be_removed_does_not_stop_the_others() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let (exports, access) = (&world.services.exports, &world.access);
    let stuck = exports.create(access, backup.id, true).await.unwrap();
    let other = exports.create(access, backup.id, false).await.unwrap();
    exports.shut_down().await;
    let mut tx = world.db.begin().await.unwrap();
    tx.exports().begin_close(stuck.export.project, stuck.export.id).await.unwrap();
    tx.commit().await.unwrap();
    // What is no folder cannot be removed as one.
    let overlay = stuck.socket.with_extension("");
    std::fs::remove_dir_all(&overlay).unwrap();
    std::fs::write(&overlay, "in the way").unwrap();
    exports.reconcile().await.expect_err("one of them cannot be removed");
    assert!(!content(&connect(&other).await).await.is_empty());
    std::fs::remove_file(&overlay).unwrap();
    assert_eq!(exports.reconcile().await.unwrap(), 1);
}

/// RES-17: a purge would wait for the export as long as it lives.
#[tokio::test]
async fn a_backup_of_a_resource_that_is_being_removed_is_not_exported() {
    let world = World::new().await;
    for (kind, resource) in [(VaultKind::Disk, VOLUME), (VaultKind::Server, SERVER)] {
        let vault = world.vault(kind, &[resource]).await;
        let backup = world.back_up(&vault).await;
        let disk = backup.children.first().map_or(backup.id, |disk| disk.id);
        let vaults = &world.services.vaults;
        vaults.remove_resources(&world.access, vault.id, vec![id(resource)]).await.unwrap();
        let refused = world.services.exports.create(&world.access, disk, false).await;
        assert!(matches!(refused, Err(Error::ResourceRemoving { .. })), "{refused:?}");
        world.settle().await;
    }
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
