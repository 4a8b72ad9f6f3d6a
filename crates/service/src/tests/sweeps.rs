//! What dead tasks leave is tidied up; what is needed is not touched.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::EndedTask;
use cbr_env::{Clock, SystemClock};
use cbr_model::backup::Backup;
use cbr_model::resource::ResourceKind;
use cbr_model::vault::VaultKind;
use cbr_model::{BackupId, ProjectId, TaskId, VaultId};
use cbr_provider::fake::{Fault as Break, Operation};
use cbr_provider::{BackupSource, DiskSelection, RestoreTarget, SnapshotName, TaskEnd};
use cbr_store::backend::layer::Fault;
use cbr_store::{BlockSource, Job};
use cbr_task::{Failure, Outcome};
use tokio_util::sync::CancellationToken;

use super::world::{SECOND_VOLUME, VOLUME, World, id};
use crate::Error;
use crate::content::{reference, versions};
use crate::tasks::restore::{self, RestoreTask, end_of_disks};

/// A disk of one block.
pub(super) struct OneBlock;

impl BlockSource for OneBlock {
    fn size_bytes(&self) -> u64 {
        64 << 10
    }

    fn extents(&self) -> std::io::Result<Vec<std::ops::Range<u64>>> {
        Ok(std::iter::once(0..64 << 10).collect())
    }

    fn read_at(&self, _offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        into.fill(5);
        Ok(())
    }
}

/// P14: a worker that lost its task cannot commit, and its attempt leaves nothing.
#[tokio::test]
async fn a_fenced_out_worker_cannot_commit() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    let task = world.waiting().await;
    let chain = crate::content::disk_chain(
        vault.project,
        vault.resources[0].chain,
        vault.resources[0].kind,
        0,
        id(VOLUME),
    );
    // The first worker has written everything and sleeps before its commit.
    let mut zombie = world.store.repository.begin(&chain, &task.to_string()).unwrap();
    zombie.write(&OneBlock, None, &Job::quiet()).unwrap();
    // Another one takes the task over and finishes it.
    world.settle().await;
    let backup = world.backups().await.remove(0);
    assert_eq!(backup.state.as_str(), "available");
    let lost = zombie.commit(b"{}");
    assert!(matches!(lost, Err(cbr_store::Error::SessionLost { .. })), "{lost:?}");
    let found: Vec<_> = world
        .store
        .repository
        .versions(&chain)
        .unwrap()
        .into_iter()
        .map(|info| info.version)
        .collect();
    assert_eq!(found, [reference(&versions(&backup)[0])]);
}

/// P3: snapshots of tasks that are over are closed, those of unfinished ones stay.
#[tokio::test]
async fn snapshots_of_dead_tasks_are_closed() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    let alive = SnapshotName::for_task(world.waiting().await);
    let dead = SnapshotName::for_task("a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap());
    for name in [alive, dead] {
        world.provider.open(id(VOLUME), &DiskSelection::All, &name).await.unwrap();
    }
    assert_eq!(world.services.sweeps.leftovers().await.unwrap(), 1);
    assert_eq!(world.provider.open_snapshots(), 1);
    world.settle().await;
    assert_eq!(world.provider.open_snapshots(), 0);
    assert_eq!(world.backups().await[0].state.as_str(), "available");
}

/// P1: a restore that began here is wrong only if it did not end well elsewhere.
#[tokio::test]
async fn restores_end_here_as_their_tasks_ended() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.back_up(&vault).await;
    let unknown = TaskId::from_uuid(uuid::Uuid::from_u128(1));
    for (task, is_wrong) in [(unknown, true), (world.logs().await[0].id, false)] {
        let name = SnapshotName::for_task(task);
        world.provider.prepare(id(VOLUME), 1, &name).await.unwrap();
        assert_eq!(world.services.sweeps.leftovers().await.unwrap(), 1);
        assert_eq!(world.provider.open_restores(), 0);
        let shown = world.services.volumes.show(&world.access, id(VOLUME)).await.unwrap();
        assert_eq!(shown.status.as_str() == "error", is_wrong, "{name}");
    }
}

/// P1: disks that are whole although their server did not start, and those of which nothing was written, are
/// not wrong; all else may be half written.
#[test]
fn a_restore_that_failed_says_what_became_of_its_disks() {
    let done = |begun_on: Option<&str>, intact| {
        let job = restore::Job {
            project: ProjectId::from_uuid(uuid::Uuid::nil()),
            vault: VaultId::from_uuid(uuid::Uuid::nil()),
            backup: BackupId::from_uuid(uuid::Uuid::nil()),
            resource: id(VOLUME),
            kind: ResourceKind::Server,
            disks: Vec::new(),
            power_on: true,
            begun_on: begun_on.map(str::to_owned),
        };
        let outcome = Outcome::Failed(Failure::failed("x", "y"));
        serde_json::to_string(&RestoreTask::Done { job, outcome, intact }).unwrap()
    };
    let end = |kind: &str, stage: String| {
        end_of_disks(&EndedTask { is_success: false, kind: kind.to_owned(), stage })
    };
    assert_eq!(end("restore", done(Some("node"), true)), TaskEnd::Succeeded);
    assert_eq!(end("restore", done(None, true)), TaskEnd::Untouched);
    assert_eq!(end("restore", done(Some("node"), false)), TaskEnd::Failed);
    assert_eq!(end("create_volume", done(None, true)), TaskEnd::Failed);
    assert_eq!(end("restore", "?".to_owned()), TaskEnd::Failed);
}

/// P3: one snapshot that does not close keeps no other one open.
#[tokio::test]
async fn what_cannot_be_released_now_is_in_nobodys_way() {
    let world = World::new().await;
    for (n, volume) in [(1_u128, VOLUME), (2, SECOND_VOLUME)] {
        let dead = SnapshotName::for_task(TaskId::from_uuid(uuid::Uuid::from_u128(n)));
        world.provider.open(id(volume), &DiskSelection::All, &dead).await.unwrap();
    }
    world.provider.fail(Operation::Close, 1, Break::Unavailable);
    let first = world.services.sweeps.leftovers().await;
    assert!(matches!(first, Err(Error::ProviderUnavailable { .. })), "it is told: {first:?}");
    assert_eq!(world.provider.open_snapshots(), 1);
    assert_eq!(world.services.sweeps.leftovers().await.unwrap(), 1);
    assert_eq!(world.provider.open_snapshots(), 0);
}

/// P3: a version whose task is over and that no backup lists is freed; all others stay.
#[tokio::test]
async fn versions_that_belong_to_no_backup_are_freed() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let chain = reference(&versions(&backup)[0]).chain;
    let known = world.logs().await[0].id;
    // Left by a task that this database knows to be over, and by one it has never heard of.
    for owner in [known.to_string(), "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".to_owned()] {
        let mut session = world.store.repository.begin(&chain, &owner).unwrap();
        session.write(&OneBlock, None, &Job::quiet()).unwrap();
        session.commit(b"{}").unwrap();
    }
    assert_eq!(world.services.sweeps.store().await.unwrap(), 1);
    let left: Vec<u64> = world
        .store
        .repository
        .versions(&chain)
        .unwrap()
        .iter()
        .map(|info| info.version.seq)
        .collect();
    assert_eq!(left, [1, 3]);
}

/// P3: an unfinished session pins what it builds on; when its task is over, it is ended.
#[tokio::test]
async fn sessions_of_dead_tasks_are_ended_and_those_of_unknown_ones_are_not() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let chain = reference(&versions(&backup)[0]).chain;
    let over = world.logs().await[0].id.to_string();
    for (owner, left) in [(over, 0), ("a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".to_owned(), 1)] {
        let mut session = world.store.repository.begin(&chain, &owner).unwrap();
        session.write(&OneBlock, None, &Job::quiet()).unwrap();
        drop(session);
        world.services.sweeps.store().await.unwrap();
        assert_eq!(world.store.repository.unfinished(&chain).unwrap().len(), left, "{owner}");
    }
    assert_eq!(world.versions().len(), 1);
}

/// P8: with the database lost, the sweep must not take the store for garbage.
#[tokio::test]
async fn an_empty_database_frees_nothing() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.back_up(&vault).await;
    let world = world.without_database().await;
    assert_eq!(world.services.sweeps.store().await.unwrap(), 0);
    assert_eq!(world.versions().len(), 1);
}

/// TSK-01: operation logs are kept for 30 days, unfinished tasks for ever.
#[tokio::test]
async fn old_operation_logs_go() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.back_up(&vault).await;
    world.start(&vault, true).await.unwrap();
    let waiting = world.waiting().await;
    world.clock.advance(Duration::from_hours(29 * 24));
    assert_eq!(world.services.sweeps.history().await.unwrap(), 0);
    world.clock.advance(Duration::from_hours(2 * 24));
    assert_eq!(world.services.sweeps.history().await.unwrap(), 1);
    let left: Vec<_> = world.logs().await.into_iter().map(|log| log.id).collect();
    assert_eq!(left, [waiting]);
}

/// Two disks' backups: of the first one the chain cannot be read.
async fn one_of_two_damaged(world: &World) -> [Backup; 2] {
    let mut backups = Vec::new();
    for volume in [VOLUME, SECOND_VOLUME] {
        let vault = world.vault(VaultKind::Disk, &[volume]).await;
        backups.push(world.back_up(&vault).await);
    }
    backups.try_into().unwrap()
}

/// P3: a round gives up so many backups; those that cannot be given up keep no later one in the trash, and
/// are tried again when all others had their turn.
#[tokio::test]
async fn what_cannot_be_given_up_does_not_stop_the_emptying() {
    let world = World::with_trash().await;
    let [damaged, sound] = one_of_two_damaged(&world).await;
    for backup in [&damaged, &sound] {
        world.delete(backup).await;
        world.clock.advance(Duration::from_secs(1));
    }
    world.damage_commit(&damaged);
    world.clock.advance(Duration::from_hours(4 * 24));
    let round = async || {
        let count = world.services.trash.sweep_some(1).await.unwrap();
        world.settle().await;
        let left: Vec<_> = world.trash().await.iter().map(|one| one.backup.id).collect();
        (count, left)
    };
    assert_eq!(round().await, (1, vec![sound.id, damaged.id]), "the oldest, in vain");
    assert_eq!(round().await, (1, vec![damaged.id]));
    assert_eq!(round().await, (0, vec![damaged.id]), "the end");
    assert_eq!(round().await, (1, vec![damaged.id]), "from the beginning");
}

/// VLT-85: what a damaged chain's backups cost is unknown, nobody asks in vain again, and the others' are
/// counted; a store that does not answer is asked again.
#[tokio::test]
async fn sizes_that_cannot_be_counted_do_not_stop_the_counting() {
    let world = World::new().await;
    let [damaged, sound] = one_of_two_damaged(&world).await;
    let counted = async || {
        let backups = world.backups().await;
        let extras = world.extras(&backups).await;
        [damaged.id, sound.id].map(|id| extras[&id].counted.used.is_some())
    };
    let services = &world.services.backups;
    world.store.faulty.fail_all(Fault::Io);
    for _ in 0..2 {
        assert!(services.count_some(1).await.is_err(), "one after the other");
    }
    world.store.faulty.heal();
    assert_eq!(services.count_some(1).await.unwrap(), 0, "the end");
    assert_eq!(counted().await, [false, false]);
    world.damage_commit(&damaged);
    // The first of the two fails once more; the other has its turn all the same.
    assert_eq!(services.count_some(1).await.unwrap(), 1);
    assert_eq!(services.count_some(1).await.unwrap(), 1);
    assert_eq!(counted().await, [false, true]);
    for _ in 0..2 {
        assert_eq!(services.count_sizes().await.unwrap(), 0, "nothing has changed");
    }
}

/// The sweep of the store takes hours where there is much: tokens and exports do not wait for it.
#[test]
fn a_store_that_does_not_answer_holds_up_no_other_sweep() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new().await;
        // The only thread that could ask the store is taken until the end.
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let taken = tokio::task::spawn_blocking(move || ended.recv());
        let (sweeps, shutdown) = (Arc::clone(&world.services.sweeps), CancellationToken::new());
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { sweeps.run(stop).await });
        let mut seen = Vec::new();
        for _ in 0..2000 {
            let mut tx = world.db.read().await.unwrap();
            seen.extend(tx.nodes().list().await.unwrap().into_iter().find_map(|node| node.seen_at));
            drop(tx);
            seen.dedup();
            if seen.len() == 3 {
                break;
            }
            world.clock.advance(Duration::from_secs(10));
            SystemClock::default().sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(seen.len(), 3, "three rounds");
        shutdown.cancel();
        running.await.unwrap();
        drop(end);
        drop(taken.await);
    });
}
