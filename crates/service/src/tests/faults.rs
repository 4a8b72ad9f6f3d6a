//! A store that fails now and then: what is listed is there, what is there is listed.

use std::collections::BTreeMap;

use cbr_model::backup::BackupState;
use cbr_model::vault::VaultKind;
use cbr_store::Job;
use cbr_store::backend::layer::Fault;

use super::world::{BLOCK, SERVER, SYSTEM_DISK, VOLUME, World, id, succeeded};
use crate::content::versions;

/// P1, P3, P14: every task ends; a backup is available and whole, or in error and can be
/// deleted; nothing is left over after the sweep.
#[tokio::test]
async fn a_store_that_fails_now_and_then_loses_nothing_and_keeps_nothing() {
    for seed in 0..16 {
        let world = World::new().await;
        let disks = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let servers = world.vault(VaultKind::Server, &[SERVER]).await;
        let mut contents = BTreeMap::new();
        let first = world.back_up(&disks).await;
        contents.insert(first.id, world.provider.content(id(VOLUME)));

        let faults = [Fault::Io, Fault::NoSpace, Fault::LostAnswer, Fault::LostRequest];
        world.store.faulty.fail_seeded(seed, 2 + seed % 8, &faults);
        for round in 0..2_u8 {
            world.provider.write(id(VOLUME), 7 * BLOCK, &[round; 300]);
            for vault in [&disks, &servers] {
                let view = world.start(vault, true).await.unwrap();
                world.settle().await;
                for backup in world.backups_of(&view).await {
                    let disk = if vault.id == disks.id { VOLUME } else { SYSTEM_DISK };
                    contents.insert(backup.id, world.provider.content(id(disk)));
                }
            }
        }
        world.services.backups.delete(&world.access, first.id).await.unwrap();
        world.settle().await;
        world.store.faulty.heal();

        // BAK-51: what is in error is deleted by hand, and that works now.
        for backup in world.backups().await {
            if backup.state.as_str() == "error" {
                world.services.backups.delete(&world.access, backup.id).await.unwrap();
            }
        }
        world.settle().await;
        world.services.sweeps.store().await.unwrap();
        let backups = world.backups().await;
        let listed: usize = backups.iter().map(|backup| versions(backup).len()).sum();
        let stored: usize = world.versions().values().sum();
        assert_eq!(stored, listed, "seed {seed}");
        for backup in backups {
            assert!(matches!(backup.state, BackupState::Available { .. }), "seed {seed}");
            let disk = if backup.resource == id(VOLUME) { VOLUME } else { SYSTEM_DISK };
            world.provider.write(id(disk), 0, &[0xff; 7000]);
            succeeded(&world.restore(backup.id).await.unwrap());
            assert!(world.provider.content(id(disk)) == contents[&backup.id], "seed {seed}");
        }
        assert_eq!(world.provider.open_snapshots(), 0, "seed {seed}");
    }
}

/// A claim left by a task that died where nobody could abort it does not stop the next one.
#[tokio::test]
async fn a_dead_session_does_not_block_its_chain() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let bound = &vault.resources[0];
    let chain = crate::content::disk_chain(vault.project, bound.chain, bound.kind, 0, id(VOLUME));
    let mut dead = world.store.repository.begin(&chain, "dead").unwrap();
    dead.write(&super::sweeps::OneBlock, None, &Job::quiet()).unwrap();
    drop(dead);
    let backup = world.back_up(&vault).await;
    succeeded(&world.restore(backup.id).await.unwrap());
    assert_eq!(world.versions().len(), 1);
}
