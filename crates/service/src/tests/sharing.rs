//! Disks of a project that share blocks (`repository.dedup = "tenant"`).

use std::collections::BTreeSet;

use cbr_env::{Random, SeededRandom};
use cbr_model::BackupId;
use cbr_model::backup::Backup;
use cbr_model::operation::OperationStatus;
use cbr_model::vault::{Vault, VaultKind};

use super::world::{BLOCK, SECOND_VOLUME, VOLUME, World, id, succeeded};
use crate::content::{reference, versions};

const BLOCKS: u64 = 12;
const BLOCK_LEN: usize = 65_536;

/// Both disks hold the same blocks, and one has one of its own; each is in a vault of its own.
async fn clones() -> (World, [Vault; 2]) {
    let world = World::sharing().await;
    for n in 0..BLOCKS {
        let mut block = vec![0; BLOCK_LEN];
        SeededRandom::new(n).fill(&mut block);
        world.provider.write(id(VOLUME), n * BLOCK, &block);
        world.provider.write(id(SECOND_VOLUME), n * BLOCK, &block);
    }
    world.provider.write(id(SECOND_VOLUME), 15 * BLOCK, &[0x5a; 900]);
    let one = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let two = world.vault(VaultKind::Disk, &[SECOND_VOLUME]).await;
    (world, [one, two])
}

/// What deleting these together would free.
async fn freed_by(world: &World, ids: &BTreeSet<BackupId>) -> u64 {
    let services = &world.services.backups;
    services.what_if(&world.access, ids).await.unwrap().freed_bytes
}

/// What all backups need: what would be free without them.
async fn needed(world: &World) -> u64 {
    let all = world.backups().await.into_iter().map(|backup| backup.id).collect();
    freed_by(world, &all).await
}

async fn delete(world: &World, backup: &Backup) {
    let task = world.services.backups.delete(&world.access, backup.id).await.unwrap();
    world.settle().await;
    succeeded(&world.services.operations.show(&world.access, task).await.unwrap());
}

/// BAK-36, BAK-37, VLT-85; P7, P8: whichever of two cloned disks' backups goes first, what it frees is
/// known before, what they share is freed with the last of them, and what is left restores.
#[tokio::test]
async fn backups_of_cloned_disks_go_in_any_order_and_free_what_was_said() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let (world, [one, two]) = clones().await;
        let first = world.back_up(&one).await;
        let alone = needed(&world).await;
        let second = world.back_up(&two).await;
        let both = needed(&world).await;
        assert!(both < alone * 3 / 2, "the clone borrows: {both} bytes, {alone} for the first");
        world.provider.write(id(VOLUME), 3 * BLOCK, &[0x77; 3000]);
        let third = world.back_up(&one).await;
        let content =
            [world.provider.content(id(VOLUME)), world.provider.content(id(SECOND_VOLUME))];

        let backups = [first, second, third];
        for (at, which) in order.into_iter().enumerate() {
            let before = needed(&world).await;
            let goes = [backups[which].id].into();
            let said = world.services.backups.what_if(&world.access, &goes).await.unwrap();
            assert_eq!(said.backups[0].1.unique_bytes, said.freed_bytes, "{order:?} {which}");
            delete(&world, &backups[which]).await;
            assert_eq!(before - needed(&world).await, said.freed_bytes, "{order:?} {which}");
            let audit = world.store.repository.audit(&cbr_store::Job::quiet()).unwrap();
            assert!(audit.is_right(), "{order:?} {which}: {audit:?}");
            for left in &order[at + 1..] {
                if *left == 0 {
                    continue;
                }
                let disk = if *left == 1 { SECOND_VOLUME } else { VOLUME };
                world.provider.write(id(disk), 0, &vec![0xdb; 5 * BLOCK_LEN]);
                succeeded(&world.restore(backups[*left].id).await.unwrap());
                assert!(world.provider.content(id(disk)) == content[usize::from(*left == 1)]);
            }
        }
        let objects = world.backend().snapshot();
        let packs = objects.keys().filter(|key| is_pack(key.as_str(), None));
        assert_eq!(packs.count(), 0, "nothing is left: {order:?}");
    }
}

/// Whether the key is of a pack, of this epoch.
fn is_pack(key: &str, epoch: Option<u32>) -> bool {
    let of_epoch = |epoch: u32| key.contains(&format!(".{epoch:08x}/"));
    (key.contains("/p/") || key.contains("/m/")) && epoch.is_none_or(of_epoch)
}

/// I7, BAK-38, BAK-39: an independent full backup borrows nothing from the disks of its project either.
/// With every older pack destroyed it restores, and the older backups fail instead of lying (P1).
#[tokio::test]
async fn an_independent_full_restores_though_everything_older_is_lost() {
    let (world, [one, two]) = clones().await;
    let first = world.back_up(&one).await;
    world.back_up(&two).await;
    let view = world.start(&one, false).await.unwrap();
    world.settle().await;
    let full = world.backups_of(&view).await.pop().unwrap();
    assert_eq!(reference(&versions(&full)[0]).chain.epoch, 1);
    let content = world.provider.content(id(VOLUME));
    let objects = world.backend().snapshot();
    let old: Vec<_> = objects.iter().filter(|(key, _)| is_pack(key.as_str(), Some(0))).collect();
    assert!(old.len() >= 3, "{} packs", old.len());
    for (key, bytes) in old {
        world.backend().overwrite(key, vec![0x55; bytes.len()]);
    }
    world.provider.write(id(VOLUME), 0, &vec![0xdb; 9 * BLOCK_LEN]);
    succeeded(&world.restore(full.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content);
    let log = world.restore(first.id).await.unwrap();
    assert_eq!(log.status, OperationStatus::Failed, "{log:?}");
}

/// P5: damage in what two disks share marks the backups of both, and the next backup of either heals
/// both.
#[tokio::test]
async fn shared_damage_is_named_for_both_disks_and_healed_by_either() {
    for healer in [0, 1] {
        let (world, vaults) = clones().await;
        let first = world.back_up(&vaults[0]).await;
        let lender = world.backend().snapshot();
        let backups = [first, world.back_up(&vaults[1]).await];
        for (key, bytes) in lender.iter().filter(|(key, _)| key.as_str().contains("/p/")) {
            let mut wrong = bytes.clone();
            wrong[100] ^= 1;
            world.backend().overwrite(key, wrong);
        }
        let verify = async |backup: &Backup| {
            let services = &world.services;
            let task = services.verification.verify(&world.access, backup.id).await.unwrap();
            world.settle().await;
            services.operations.show(&world.access, task).await.unwrap()
        };
        assert_eq!(verify(&backups[0]).await.status, OperationStatus::Failed);
        for backup in &backups {
            let integrity =
                world.services.verification.integrity(&world.access, backup.id).await.unwrap();
            assert!(!integrity.lost.is_empty(), "{integrity:?}");
        }
        world.back_up(&vaults[healer]).await;
        for backup in &backups {
            succeeded(&verify(backup).await);
        }
    }
}
