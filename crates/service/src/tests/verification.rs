//! Verification: damage is marked on exactly the backups it hurts, and healed by the next one.

use std::sync::Arc;

use cbr_model::backup::Backup;
use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_model::operation::OperationStatus;
use cbr_model::vault::VaultKind;
use cbr_store::backend::{BackendExt, Key};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::Place;
use tokio_util::sync::CancellationToken;

use super::world::{BLOCK, VOLUME, World};
use crate::verification::VerifyOptions;

/// Flips a byte in the first slot of every data pack there is.
fn flip(world: &World) {
    let keys: Vec<Key> =
        world.backend().list_all("").unwrap().into_iter().map(|entry| entry.key).collect();
    for key in keys {
        if let Some(Place::Pack(pack, _)) = Place::parse(&key)
            && pack.kind == PackKind::Data
        {
            let mut bytes = world.backend().snapshot()[&key].clone();
            bytes[70] ^= 1;
            world.backend().overwrite(&key, bytes);
        }
    }
}

async fn integrity(world: &World, backup: &Backup) -> Integrity {
    world.services.verification.integrity(&world.access, backup.id).await.unwrap()
}

async fn whole_pass(world: &World) {
    let options = VerifyOptions { bytes_per_day: 1 << 40, ..VerifyOptions::default() };
    let stop = CancellationToken::new();
    assert!(world.services.verification.scrub(&options, &stop).await.unwrap());
}

/// P5, P35: a pass finds damage and marks the backups it hurts; the next backup of the disk heals
/// them, and they are marked whole again.
#[tokio::test]
async fn damage_is_marked_and_healed_by_the_next_backup() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let first = world.back_up(&vault).await;
    assert_eq!(integrity(&world, &first).await.state, IntegrityState::Unknown);
    world.clock.advance(std::time::Duration::from_hours(1));
    whole_pass(&world).await;
    flip(&world);
    world.clock.advance(std::time::Duration::from_hours(1));
    whole_pass(&world).await;
    let damaged = integrity(&world, &first).await;
    assert_eq!(damaged.state, IntegrityState::Damaged);
    assert!(!damaged.lost.is_empty() && damaged.lost.iter().all(|(_, to)| to % BLOCK == 0));
    let second = world.back_up(&vault).await;
    let healed = integrity(&world, &first).await;
    assert!(healed.lost.is_empty() && healed.state != IntegrityState::Damaged, "{healed:?}");
    assert_ne!(integrity(&world, &second).await.state, IntegrityState::Damaged);
    let report = Arc::clone(&world.store.repository)
        .check(cbr_store::CheckDepth::ReadData, &cbr_store::Job::quiet())
        .unwrap();
    assert!(report.is_clean() && report.healed > 0, "{report:?}");
}

/// P35: verifying one backup now ends well or says that it is damaged, and marks it.
#[tokio::test]
async fn verifying_a_backup_marks_it() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let run = || async {
        let task = world.services.verification.verify(&world.access, backup.id).await.unwrap();
        world.settle().await;
        world.services.operations.show(&world.access, task).await.unwrap()
    };
    let log = run().await;
    assert_eq!((log.status, log.progress), (OperationStatus::Success, 100), "{log:?}");
    let sound = integrity(&world, &backup).await;
    assert_eq!(sound.state, IntegrityState::Ok);
    assert!(sound.verified_at.is_some());
    flip(&world);
    let log = run().await;
    assert_eq!(log.status, OperationStatus::Failed, "{log:?}");
    let damaged = integrity(&world, &backup).await;
    assert_eq!((damaged.state, damaged.verified_at), (IntegrityState::Damaged, sound.verified_at));
    assert!(!damaged.lost.is_empty());
}
