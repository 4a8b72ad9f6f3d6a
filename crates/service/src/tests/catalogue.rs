//! Losing the database and getting everything back from the store (P8).

use cbr_model::size::Gib;
use cbr_model::vault::VaultKind;

use super::world::{
    BLOCK, DATA_DISK, SERVER, SYSTEM_DISK, VOLUME, World, enter, id, run, succeeded,
};
use crate::catalogue::{Health, Rebuilt};
use crate::checkpoints::NewCheckpoint;

/// P8: every backup is listed again, with its vault, names and times, and restores its bytes;
/// the first start of the new database may come before the rebuild.
#[tokio::test]
async fn a_lost_database_is_rebuilt_from_the_store() {
    let world = World::new().await;
    let disks = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let servers = world.vault(VaultKind::Server, &[SERVER]).await;
    world.back_up(&disks).await;
    world.provider.write(id(VOLUME), 7 * BLOCK, &[0x31; 5]);
    let volume = world.provider.content(id(VOLUME));
    let named = NewCheckpoint {
        name: Some("before-upgrade".into()),
        description: "why".into(),
        retention_days: Some(9),
        ..run(&disks)
    };
    world.services.checkpoints.create(&world.access, named).await.unwrap();
    world.settle().await;
    world.provider.write(id(DATA_DISK), 0, b"LUKS\xba\xbe\x00\x02");
    let server = world.back_up(&servers).await;
    assert!(server.encrypted, "BAK-17: as one of its disks is");
    let before = world.backups().await;
    let contents = [SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n)));

    let world = world.without_database().await;
    assert_eq!(world.backups().await.len(), 0);
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    let Rebuilt { vaults, resources, checkpoints, backups, held, .. } = rebuilt;
    assert_eq!((vaults, resources, checkpoints, backups, held), (2, 2, 3, 3, 3), "{rebuilt:?}");
    let again = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!(
        again,
        Rebuilt { known: 4, ..Rebuilt::default() },
        "two disks and two of the server"
    );

    let after = world.backups().await;
    assert_eq!(after.len(), before.len());
    for (was, is) in before.iter().zip(&after) {
        assert_eq!((is.id, &is.name, is.created_at), (was.id, &was.name, was.created_at));
        assert_eq!((&is.description, is.expired_at), (&was.description, was.expired_at));
        assert_eq!((&is.state, is.incremental), (&was.state, was.incremental));
        assert_eq!((is.resource_size, is.system_disk), (was.resource_size, was.system_disk));
        let parts = |b: &cbr_model::backup::Backup| {
            let disks = b.children.iter().map(|disk| (disk.id, disk.encrypted));
            (b.encrypted, disks.collect::<Vec<_>>())
        };
        assert_eq!(parts(is), parts(was));
    }
    let vault = world.reread(&disks).await;
    assert_eq!((vault.name, vault.size), (disks.name.clone(), Gib(100)));
    assert_eq!(vault.used.0, 4 * BLOCK);

    for n in [VOLUME, SYSTEM_DISK, DATA_DISK] {
        world.provider.write(id(n), 0, &[0xdd; 9000]);
    }
    let upgrade = after.iter().find(|b| b.name.as_str() == "before-upgrade").unwrap();
    succeeded(&world.restore(upgrade.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == volume);
    let server = after.iter().find(|b| b.resource == id(SERVER)).unwrap();
    succeeded(&world.restore(server.id).await.unwrap());
    assert!([SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n))) == contents);

    // Life goes on: backups are made and deleted as before.
    world.back_up(&disks).await;
    for backup in world.backups().await {
        world.services.backups.delete(&world.access, backup.id).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.versions().len(), 0);
    assert!(enter(&world.services, &world.account).await.is_ok());
}

/// P8: a database copy that is some hours old gets what is missing and keeps what it has.
#[tokio::test]
async fn a_rebuild_adds_only_what_is_missing() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let kept = world.back_up(&vault).await;
    let lost = world.back_up(&vault).await;
    let mut tx = world.db.begin().await.unwrap();
    let changed = cbr_model::backup::Backup {
        state: lost.state.clone().begin_delete().unwrap(),
        ..lost.clone()
    };
    assert!(tx.backups().update(&changed, "available").await.unwrap());
    assert!(tx.backups().delete(lost.project, lost.id, "deleting").await.unwrap());
    tx.checkpoints().delete_if_empty(lost.project, lost.checkpoint).await.unwrap();
    tx.commit().await.unwrap();
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    let want = Rebuilt { checkpoints: 1, backups: 1, known: 1, held: 2, ..Rebuilt::default() };
    assert_eq!(rebuilt, want);
    let mut ids: Vec<_> = world.backups().await.into_iter().map(|b| b.id).collect();
    ids.sort();
    let mut want = vec![kept.id, lost.id];
    want.sort();
    assert_eq!(ids, want);
}

/// A server backup of which a disk is missing was never complete, and is not shown as one.
#[tokio::test]
async fn an_incomplete_server_backup_is_not_rebuilt() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let version = crate::content::versions(&backup).remove(0);
    let version = crate::content::reference(&version);
    world.store.repository.delete(&version.chain, &[version.seq]).unwrap();
    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!(rebuilt, Rebuilt { incomplete: 1, ..Rebuilt::default() });
    assert_eq!(world.backups().await.len(), 0);
}

#[tokio::test]
async fn the_doctor_sees_what_does_not_agree() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let worst = async |world: &World| {
        let findings = world.services.catalogue.doctor().await.unwrap();
        findings.into_iter().filter(|f| f.subject == "store").map(|f| f.health).max().unwrap()
    };
    assert_eq!(worst(&world).await, Health::Good);
    let version = crate::content::reference(&crate::content::versions(&backup)[0]);
    world.store.repository.delete(&version.chain, &[version.seq]).unwrap();
    assert_eq!(worst(&world).await, Health::Bad, "a backup without its content");
}

/// The layout of cards is a promise to installations (P8): this text must always be read.
#[test]
fn a_card_of_the_first_layout_is_read() {
    let text = include_str!("card_v1.json");
    let card = crate::card::Card::decode(text.as_bytes()).unwrap();
    assert_eq!(card.backup.name.as_str(), "daily");
    assert_eq!(card.disk.as_ref().map(|disk| (disk.index, disk.count)), Some((1, 2)));
    let written: serde_json::Value = serde_json::from_slice(&card.encode()).unwrap();
    let read: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(written, read, "nothing is dropped and nothing renamed");
    let newer = text.replacen("\"layout\": 1", "\"layout\": 2", 1);
    assert!(crate::card::Card::decode(newer.as_bytes()).is_err());
}
