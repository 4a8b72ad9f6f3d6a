//! Images of other places that become backups (contract C33, docs/adr/0040).

use std::fs;

use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::name::Name;
use cbr_model::operation::{OperationDetails, OperationLog, OperationStatus, OperationType};
use cbr_model::resource::ResourceKind;
use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::{Vault, VaultKind};
use cbr_model::{BackupId, Timestamp};
use cbr_task::Outcome;
use cbr_task::harness::{Fault, crash_matrix};
use uuid::Uuid;

use super::audit::recorded;
use super::volumes::empty;
use super::world::{BLOCK, BUCKET, VOLUME, World, id, in_place, succeeded};
use crate::catalogue::Rebuilt;
use crate::imports::{ITEMS_MAX, ImportError, Imported, NewImport};
use crate::tasks::backup::BackupTask;
use crate::vaults::NewVault;
use crate::volumes::NewVolumeRequest;
use crate::{Error, Result};

/// A server of another place.
pub(super) const NATIVE: u128 = 900;
/// 2020-09-13.
pub(super) const MADE: Timestamp = Timestamp(1_600_000_000_000_000);

pub(super) fn backup_id(n: u128) -> BackupId {
    BackupId::from_uuid(Uuid::from_u128(n))
}

/// Backup `n` of the server, in an image.
pub(super) fn item(n: u128, path: &str) -> NewImport {
    NewImport {
        backup: backup_id(n),
        name: Name::new("from-afar").unwrap(),
        bucket: BUCKET.into(),
        path: path.into(),
        resource: id(NATIVE),
        resource_name: "web of old".into(),
        created_at: MADE,
    }
}

impl World {
    /// A vault of files.
    pub(super) async fn file_vault(&self) -> Vault {
        let size = Gib(1024);
        let kind = VaultKind::File;
        let wanted = NewVault { kind, size, ..crate::rules::vault::tests::wanted() };
        self.services.vaults.create(&self.access, wanted).await.unwrap()
    }

    /// Puts something into the bucket.
    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.bucket.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn import(&self, items: &[NewImport]) -> Result<Vec<Imported>> {
        self.services.imports.import(&self.access, items).await
    }

    /// One import, to the end.
    async fn taken_in(&self, item: &NewImport) -> Backup {
        let begun = self.import(std::slice::from_ref(item)).await.unwrap();
        self.settle().await;
        succeeded(&self.log(begun[0]).await);
        self.services.backups.show(&self.access, item.backup).await.unwrap()
    }

    async fn log(&self, imported: Imported) -> OperationLog {
        self.services.operations.show(&self.access, imported.log).await.unwrap()
    }

    async fn has(&self, backup: BackupId) -> bool {
        self.services.backups.show(&self.access, backup).await.is_ok()
    }
}

/// An image that ends within a sector.
pub(super) fn image(byte: u8) -> Vec<u8> {
    let mut image = vec![0; usize::try_from(6 * BLOCK).unwrap() + 700];
    image[..5000].fill(byte);
    let end = image.len();
    image[end - 100..].fill(byte);
    image
}

fn logical(backup: &Backup) -> (u64, u64) {
    match backup.state.content() {
        Some(Content::Disk(version)) => (version.disk_bytes.0, version.logical_bytes.0),
        other => panic!("{other:?}"),
    }
}

fn numbers(log: &OperationLog) -> (u64, u64) {
    match log.details {
        OperationDetails::Sync { taken_in, failed, .. } => (taken_in, failed),
        ref other => panic!("{other:?}"),
    }
}

/// Contract C33: a backup as any other, of a server elsewhere; the next of the same server holds the changes. A disk made
/// from it has the image's bytes.
#[tokio::test]
async fn an_image_becomes_a_backup() {
    let world = World::new().await;
    let vault = world.file_vault().await;
    world.put("a/1.raw", &image(1));
    let begun = world.import(&[item(1, "a/1.raw")]).await.unwrap();
    assert_eq!(world.state(backup_id(1)).await, BackupState::Protecting);
    world.settle().await;
    let log = world.log(begun[0]).await;
    succeeded(&log);
    assert_eq!((log.operation, log.vault), (OperationType::Sync, Some(vault.id)));
    assert_eq!(numbers(&log), (1, 0));
    let first = world.services.backups.show(&world.access, backup_id(1)).await.unwrap();
    assert_eq!((first.resource, first.resource_kind), (id(NATIVE), ResourceKind::Native));
    assert_eq!((first.resource_name.as_str(), first.resource_size), ("web of old", Gib(1)));
    assert_eq!((first.vault, first.created_at, first.expired_at), (vault.id, MADE, None));
    assert!(!first.incremental && !first.auto_trigger && first.protected_at > Some(MADE));
    assert_eq!(logical(&first), (6 * BLOCK + 1024, 2 * BLOCK), "whole sectors, whole blocks");
    let run = world.services.checkpoints.show(&world.access, first.checkpoint).await.unwrap();
    assert_eq!((run.checkpoint.created_at, run.resources.len()), (MADE, 1));
    assert!(recorded(&world).await.iter().any(|record| record.resource_name == "from-afar"));

    world.put("a/2.raw", &image(2));
    let second = world.taken_in(&item(2, "a/2.raw")).await;
    assert!(second.incremental);
    let vault = world.reread(&vault).await;
    assert_eq!(vault.used, Bytes(logical(&first).1 + logical(&second).1), "P17");
    assert_eq!(vault.resources, [], "what is elsewhere is bound to nothing here");

    for (backup, byte) in [(&first, 1), (&second, 2)] {
        let wanted = NewVolumeRequest { backup: Some(backup.id), size: None, ..empty() };
        let started = world.services.volumes.create(&world.access, wanted).await.unwrap();
        world.settle().await;
        let mut expected = image(byte);
        expected.resize(usize::try_from(6 * BLOCK + 1024).unwrap(), 0);
        assert!(world.provider.head(started.volume, expected.len()) == expected);
    }
    world.services.vaults.delete(&world.access, vault.id).await.unwrap();
    world.settle().await;
    assert_eq!((world.backups().await.len(), world.versions().len()), (0, 0), "VLT-61");
}

/// RST-42: what it was made of is not here; the message says where else to.
#[tokio::test]
async fn an_import_is_not_restored_in_place() {
    let world = World::new().await;
    world.file_vault().await;
    world.put("1", &image(1));
    // Also where a disk here has the id of the server elsewhere.
    for (n, resource) in [(1, NATIVE), (2, VOLUME)] {
        let import = NewImport { resource: id(resource), ..item(n, "1") };
        let backup = world.taken_in(&import).await;
        let refused = world.services.backups.restore(&world.access, backup.id, in_place()).await;
        let Err(Error::RestoreElsewhere { allowed }) = refused else { panic!("{refused:?}") };
        assert!(allowed.contains("cbr backup export"), "{allowed}");
    }
}

/// Contract C33: what is wrong is said before anything begins.
#[tokio::test]
async fn what_cannot_be_taken_in_is_refused() {
    let world = World::new().await;
    world.put("1", &image(1));
    world.put("empty", b"");
    world.put("other.qcow2", b"QFI\xfb\0\0\0\x03");
    let refused = world.import(&[item(1, "1")]).await;
    assert!(matches!(refused, Err(Error::Import(ImportError::NoFileVault))), "{refused:?}");
    world.file_vault().await;
    let refused = async |import: NewImport, expected: &str| {
        // All or none.
        let error = world.import(&[item(99, "1"), import]).await.unwrap_err();
        let text = crate::error::chain(&error);
        assert!(text.contains(expected), "{expected}: {text}");
    };
    refused(NewImport { bucket: "other".into(), ..item(1, "1") }, "does not exist, or you may")
        .await;
    refused(item(1, "none"), "has no `none`").await;
    refused(item(1, "empty"), "empty").await;
    refused(item(1, "other.qcow2"), "qemu-img convert -O raw").await;
    for path in ["../1", "/etc/passwd", "", "a//b"] {
        refused(item(1, path), "image_path").await;
    }
    refused(item(99, "1"), "listed twice").await;
    refused(NewImport { resource_name: String::new(), ..item(1, "1") }, "resource_name").await;
    let many: Vec<_> = (0..=ITEMS_MAX as u128).map(|n| item(n, "1")).collect();
    for items in [&many[..], &[]] {
        assert!(matches!(world.import(items).await, Err(Error::Invalid { field: "sync", .. })));
    }
    assert!(world.services.imports.created_at(-1).is_err());
    assert!(world.services.imports.created_at(i64::MAX).is_err());
    assert_eq!((world.backups().await.len(), world.logs().await.len()), (0, 0));

    let many: Vec<_> = (0..ITEMS_MAX as u128).map(|n| item(n, "1")).collect();
    world.import(&many).await.unwrap();
    let more: Vec<_> = (100..100 + ITEMS_MAX as u128).map(|n| item(n, "1")).collect();
    world.import(&more).await.unwrap();
    let refused = world.import(&[item(200, "1")]).await;
    assert!(matches!(refused, Err(Error::TooManyTasks { .. })), "{refused:?}");
}

/// An id is one backup's, everywhere and for ever; asking again for the same is fine.
#[tokio::test]
async fn an_id_is_taken_in_once() {
    let world = World::with_trash().await;
    world.file_vault().await;
    world.put("1", &image(1));
    let begun = world.import(&[item(1, "1")]).await.unwrap();
    assert_eq!(world.import(&[item(1, "1")]).await.unwrap(), begun, "the import that is at work");
    world.settle().await;
    fs::remove_file(world.bucket.join("1")).unwrap();
    let again = world.import(&[item(1, "1")]).await.unwrap();
    assert_ne!(again, begun);
    let log = world.log(again[0]).await;
    assert_eq!((log.status, numbers(&log)), (OperationStatus::Success, (0, 0)));
    assert_eq!(world.versions().values().sum::<usize>(), 1);

    world.put("1", &image(1));
    let taken = async |import: NewImport| {
        let refused = world.import(&[import]).await;
        assert!(
            matches!(refused, Err(Error::Import(ImportError::BackupIdTaken(_)))),
            "{refused:?}"
        );
    };
    taken(NewImport { resource: id(NATIVE + 1), ..item(1, "1") }).await;
    taken(NewImport { created_at: MADE.plus_seconds(1), ..item(1, "1") }).await;
    let disks = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let ordinary = world.back_up(&disks).await;
    taken(NewImport { backup: ordinary.id, ..item(1, "1") }).await;
    let import = world.services.backups.show(&world.access, backup_id(1)).await.unwrap();
    world.delete(&import).await;
    assert!(!world.has(import.id).await);
    taken(item(1, "1")).await;
    let vault = None;
    world.services.trash.undelete(&world.access, import.id, vault).await.unwrap();
    world.settle().await;
    assert_eq!(world.state(import.id).await, import.state);
}

/// P2, P3, P14: after any crash there is exactly one version and one available backup, or nothing.
#[tokio::test]
async fn a_crash_at_any_step_neither_loses_nor_doubles_an_import() {
    let make = async || {
        let world = World::new().await;
        world.file_vault().await;
        world.put("1", &image(1));
        world.import(&[item(1, "1")]).await.unwrap();
        let task = world.waiting().await;
        world.with_task::<BackupTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        let versions: usize = world.versions().values().sum();
        let backups = world.backups().await;
        let states: Vec<_> = backups.iter().map(|backup| backup.state.as_str()).collect();
        if ended.outcome == Outcome::Success {
            assert_eq!((&states[..], versions), (&["available"][..], 1), "{fault:?}");
        } else {
            assert!(matches!(fault, Fault::CancelBefore(_)), "{fault:?}: {ended:?}");
            assert_eq!((&states[..], versions), (&[][..], 0), "{fault:?}");
        }
    })
    .await;
}

/// P1: an image that is written to is no point in time. What failed leaves its log and nothing else, and can be asked
/// for again under the same id.
#[tokio::test]
async fn an_image_that_changes_or_goes_is_not_taken_in() {
    let world = World::new().await;
    world.file_vault().await;
    let damages: [fn(&std::path::Path); 3] = [
        |path| fs::write(path, image(2)).unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"").unwrap(),
    ];
    for damage in damages {
        world.put("1", &image(1));
        let begun = world.import(&[item(1, "1")]).await.unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        damage(&world.bucket.join("1"));
        world.settle().await;
        let log = world.log(begun[0]).await;
        assert_eq!((log.status, numbers(&log)), (OperationStatus::Failed, (0, 1)));
        let error = log.error.unwrap();
        assert!(error.code == "BackupService.7300" && error.message.contains("`1`"), "{error:?}");
        assert_eq!((world.backups().await.len(), world.versions().len()), (0, 0));
    }
    world.put("1", &image(3));
    world.taken_in(&item(1, "1")).await;
}

/// A bucket that does not answer for a while only delays; one that is gone for good fails the import.
#[tokio::test]
async fn a_bucket_that_is_away_is_asked_again() {
    let world = World::new().await;
    world.file_vault().await;
    world.put("1", &image(1));
    let away = world.bucket.with_extension("away");
    for comes_back in [true, false] {
        let import = item(u128::from(comes_back), "1");
        let begun = world.import(std::slice::from_ref(&import)).await.unwrap();
        fs::rename(&world.bucket, &away).unwrap();
        world.services.engine(cbr_task::Options::default()).run_due().await.unwrap();
        assert_eq!(world.state(import.backup).await, BackupState::Protecting);
        if comes_back {
            fs::rename(&away, &world.bucket).unwrap();
        }
        world.settle().await;
        let is_done = world.log(begun[0]).await.status == OperationStatus::Success;
        assert_eq!((is_done, world.has(import.backup).await), (comes_back, comes_back));
    }
    let refused = world.import(&[item(7, "1")]).await;
    assert!(
        matches!(refused, Err(Error::Import(ImportError::BucketUnreachable { .. }))),
        "{refused:?}"
    );
}

/// P8: it is found again, in its vault, and is bound to nothing.
#[tokio::test]
async fn an_import_outlives_the_database() {
    let world = World::new().await;
    let vault = world.file_vault().await;
    world.put("1", &image(1));
    let before = world.taken_in(&item(1, "1")).await;
    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    let Rebuilt { vaults, resources, checkpoints, backups, .. } = rebuilt;
    assert_eq!((vaults, resources, checkpoints, backups), (1, 0, 1, 1), "{rebuilt:?}");
    let after = world.services.backups.show(&world.access, before.id).await.unwrap();
    assert_eq!((&after.state, after.created_at), (&before.state, before.created_at));
    assert_eq!((after.resource_kind, after.vault), (ResourceKind::Native, vault.id));
    assert_eq!(world.reread(&vault).await.kind, VaultKind::File);
    world.put("2", &image(2));
    // The backups are the new project's now, whose the bucket is.
    world.taken_in(&item(2, "2")).await;
}
