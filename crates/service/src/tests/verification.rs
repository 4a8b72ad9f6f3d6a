//! Verification: damage is marked on exactly the backups it hurts, and healed by the next one.

use std::sync::Arc;

use cbr_model::backup::Backup;
use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_model::operation::OperationStatus;
use cbr_model::vault::VaultKind;
use cbr_store::backend::{BackendExt, Key};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::Place;
use cbr_task::harness::{Fault, crash_matrix};
use cbr_task::{Cause, Outcome};
use tokio_util::sync::CancellationToken;

use super::world::{BLOCK, SERVER, VOLUME, World, id};
use crate::tasks::verify_backup::VerifyTask;
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

/// P5: what was known of a backup goes with it into the trash; taken back it is unknown until the next pass.
#[tokio::test]
async fn what_is_taken_back_is_looked_at_again() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    flip(&world);
    whole_pass(&world).await;
    assert_eq!(integrity(&world, &backup).await.state, IntegrityState::Damaged);
    world.delete(&backup).await;
    world.undelete(&backup).await;
    assert_eq!(integrity(&world, &backup).await.state, IntegrityState::Unknown);
    world.clock.advance(std::time::Duration::from_hours(1));
    whole_pass(&world).await;
    assert_eq!(integrity(&world, &backup).await.state, IntegrityState::Damaged);
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

/// P35: a pass that began with less than everything has not read everything, however it ends.
#[tokio::test]
async fn a_pass_that_did_not_read_everything_verifies_nothing() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.clock.advance(std::time::Duration::from_hours(1));
    let little = VerifyOptions {
        level: cbr_store::ScrubLevel::Sample,
        bytes_per_day: 24,
        ..VerifyOptions::default()
    };
    let stop = CancellationToken::new();
    assert!(world.services.verification.scrub(&little, &stop).await.unwrap());
    for state in [IntegrityState::Unknown, IntegrityState::Ok] {
        world.clock.advance(std::time::Duration::from_hours(1));
        whole_pass(&world).await;
        assert_eq!(integrity(&world, &backup).await.state, state);
    }
}

/// P24: a backup is verified once at a time; who asks again hears of the one that is at it.
#[tokio::test]
async fn a_backup_is_verified_by_one_task_at_a_time() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let verify =
        async || world.services.verification.verify(&world.access, backup.id).await.unwrap();
    let first = verify().await;
    assert_eq!(verify().await, first);
    world.settle().await;
    assert_ne!(verify().await, first);
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

/// P5, P14, P35: whenever a verification is interrupted, it ends by saying what is true of every disk
/// of the server, and it changes nothing.
#[tokio::test]
async fn a_crash_at_any_step_of_a_verification_ends_with_the_truth() {
    for is_damaged in [false, true] {
        let make = async || {
            let world = World::new().await;
            let vault = world.vault(VaultKind::Server, &[SERVER]).await;
            let backup = world.back_up(&vault).await;
            if is_damaged {
                flip(&world);
            }
            let task = world.services.verification.verify(&world.access, backup.id).await.unwrap();
            world.with_task::<VerifyTask>(task)
        };
        crash_matrix(make, async |made, fault, ended| {
            let world: &World = made.keep.downcast_ref().unwrap();
            let backup = world.backups().await.remove(0);
            let known = integrity(world, &backup).await;
            match (&ended.outcome, is_damaged) {
                (Outcome::Success, false) => {
                    assert_eq!(known.state, IntegrityState::Ok, "{fault:?}");
                    assert!(known.verified_at.is_some(), "{fault:?}");
                }
                // What was asked to stop has nothing to say; what it said before stays true.
                (Outcome::Failed(failure), _) if failure.cause == Cause::Cancelled => {
                    assert!(matches!(fault, Fault::CancelBefore(_)), "{fault:?}");
                    let untrue =
                        if is_damaged { IntegrityState::Ok } else { IntegrityState::Damaged };
                    assert_ne!(known.state, untrue, "{fault:?}");
                }
                (Outcome::Failed(_), true) => {
                    assert_eq!(known.state, IntegrityState::Damaged, "{fault:?}");
                }
                (other, _) => panic!("{fault:?}: {other:?}"),
            }
            assert_eq!(world.versions().values().sum::<usize>(), backup.children.len());
            assert_eq!(world.provider.open_snapshots(), 0, "{fault:?}");
        })
        .await;
    }
}

/// VLT-85: what is shown of a list of backups is what the repository says, after each backup and each
/// deletion; nothing is counted that has not changed.
#[tokio::test]
async fn counted_sizes_are_those_of_the_repository() {
    let world = World::new().await;
    let disks = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let servers = world.vault(VaultKind::Server, &[SERVER]).await;
    let sizes = async || {
        world.services.backups.count_sizes().await.unwrap();
        assert_eq!(world.services.backups.count_sizes().await.unwrap(), 0);
        let backups = world.backups().await;
        let extras = world.extras(&backups).await;
        for backup in &backups {
            let asked = std::collections::BTreeSet::from([backup.id]);
            let exact = world.services.backups.what_if(&world.access, &asked).await.unwrap();
            let (exact, shown) = (exact.backups[0].1, &extras[&backup.id]);
            let counted = shown.counted;
            let bytes = |bytes: Option<cbr_model::size::Bytes>| bytes.unwrap().0;
            assert_eq!(bytes(counted.unique), exact.unique_bytes);
            assert_eq!(bytes(counted.shared), exact.shared_bytes);
            assert_eq!(bytes(counted.used), exact.used_bytes);
            assert_eq!(bytes(counted.changed), exact.changed_bytes);
            let (disk, logical) = (shown.disk_bytes, shown.logical_bytes);
            assert_eq!((disk, logical), (exact.disk_bytes, exact.logical_bytes));
            assert_eq!(shown.stored_bytes, exact.stored_bytes);
        }
        backups
    };
    world.back_up(&disks).await;
    world.back_up(&servers).await;
    assert_eq!(sizes().await.len(), 2);
    world.provider.write(id(VOLUME), 0, &vec![9; 70_000]);
    let newest = world.back_up(&disks).await;
    assert_eq!(sizes().await.len(), 3);
    world.services.backups.delete(&world.access, newest.id).await.unwrap();
    world.settle().await;
    assert_eq!(sizes().await.len(), 2);
    world.settle().await;
    // Renaming changes no size.
    let backup = world.backups().await.remove(0);
    world.services.backups.rename(&world.access, backup.id, "renamed".into()).await.unwrap();
    assert_eq!(world.services.backups.count_sizes().await.unwrap(), 0);
}

/// P5, P35: a tenant's key that is damaged says of that tenant's backups that they are lost, and holds up no
/// pass; when the key is back the next pass says that they are whole.
#[tokio::test]
async fn a_damaged_key_of_a_tenant_does_not_end_the_scrub() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    flip(&world);
    whole_pass(&world).await;
    let version = crate::content::versions(&backup).remove(0);
    let key = cbr_store::format::place::tenant_key(version.tenant, 1);
    let sound = world.backend().snapshot()[&key].clone();
    let mut bytes = sound.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let options = VerifyOptions { bytes_per_day: 1 << 40, ..VerifyOptions::default() };
    for (object, is_lost) in [(bytes.clone(), true), (bytes, true), (sound, false)] {
        world.backend().overwrite(&key, object);
        // A new process: it has not read the key yet.
        let verification = crate::Verification::new(world.reopened());
        for _ in 0..2 {
            world.clock.advance(std::time::Duration::from_hours(1));
            assert!(verification.scrub(&options, &CancellationToken::new()).await.unwrap());
        }
        let known = integrity(&world, &backup).await;
        assert_eq!(known.state, IntegrityState::Damaged);
        assert_eq!(known.lost == [(0, u64::MAX >> 1)], is_lost, "{known:?}");
    }
}
