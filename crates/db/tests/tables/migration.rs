//! Moving a resource with its backups, its trash and its runs from one vault to another (RES-21).

use cbr_db::{Move, Tx};
use cbr_model::backup::{Backup, BackupState};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::resource::BoundResource;
use cbr_model::vault::Vault;
use cbr_model::{CheckpointId, ResourceId, VaultId};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    everything_of_the_resource_moves_and_nothing_else,
    a_run_of_which_all_that_is_live_moved_is_only_in_the_trash,
}

/// A backup of a disk in the database; in the trash, if it is `deleted`.
async fn stored(
    world: &World,
    vault: &Vault,
    run: &Checkpoint,
    resource: ResourceId,
    is_deleted: bool,
) -> Backup {
    let mut backup = world.backup(vault.id, run.id, resource, "b");
    let content = world.disk(7);
    backup.state = if is_deleted {
        BackupState::Deleting { content: Some(content) }
    } else {
        BackupState::Available { content }
    };
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    if is_deleted {
        assert!(tx.trash().put(world.project, backup.id).await.unwrap());
    }
    tx.commit().await.unwrap();
    backup
}

/// What is kept of a resource in a vault, in the catalogue and in the trash.
async fn assert_kept(tx: &mut Tx, (vault, resource): (VaultId, ResourceId), backups: &[&Backup]) {
    let mut kept = tx.migration().kept(vault, resource).await.unwrap();
    kept.sort_by_key(|disk| disk.backup);
    let mut expected: Vec<_> = backups.iter().map(|one| (one.id, one.created_at)).collect();
    expected.sort();
    assert!(kept.iter().map(|disk| (disk.backup, disk.created_at)).eq(expected), "{kept:?}");
}

/// Runs of the resource alone move; runs of several are divided, in the catalogue and in the trash
/// alike; afterwards each vault can be deleted without the other.
async fn everything_of_the_resource_moves_and_nothing_else(database: TestDatabase) {
    let world = World::on(database).await;
    let (moving, staying) = (world.resource("moving"), world.resource("staying"));
    let mut from = world.vault("from");
    from.resources = vec![moving.clone(), staying.clone()];
    let mut tx = world.begin().await;
    tx.vaults().insert(&from).await.unwrap();
    tx.commit().await.unwrap();
    let to = world.stored_vault("to").await;
    let alone = world.stored_checkpoint(from.id).await;
    let both = world.stored_checkpoint(from.id).await;
    let half_deleted = world.stored_checkpoint(from.id).await;
    let a = stored(&world, &from, &alone, moving.id, false).await;
    let b = stored(&world, &from, &both, moving.id, false).await;
    let b_stays = stored(&world, &from, &both, staying.id, false).await;
    let c = stored(&world, &from, &half_deleted, moving.id, true).await;
    let c_stays = stored(&world, &from, &half_deleted, staying.id, false).await;
    let d = stored(&world, &from, &both, moving.id, true).await;

    let arrived = BoundResource { epoch: 2, ..moving.clone() };
    let wanted = Move { resource: moving.id, from: from.id, to: to.id };
    let mut new_runs: Vec<CheckpointId> = Vec::new();
    let mut tx = world.begin().await;
    let new_run = || {
        new_runs.push(world.id());
        *new_runs.last().unwrap()
    };
    let moved = tx.migration().apply(wanted, &arrived, new_run).await.unwrap();
    assert_eq!(moved, 2, "those in the trash are not counted");
    assert_eq!(new_runs.len(), 2, "two runs took something that stays");
    tx.commit().await.unwrap();

    let mut tx = world.begin().await;
    let binding = tx.bindings().find(moving.id).await.unwrap().unwrap();
    assert_eq!((binding.vault, binding.resource.epoch), (to.id, 2));
    assert_eq!((binding.resource.backup_count, binding.resource.chain), (2, moving.chain));
    let project = world.project;
    for (backup, vault, is_own_run) in
        [(&a, &to, true), (&b, &to, false), (&b_stays, &from, true), (&c_stays, &from, true)]
    {
        let found = tx.backups().find(project, backup.id).await.unwrap().unwrap();
        assert_eq!(found.vault, vault.id);
        assert_eq!(found.checkpoint == backup.checkpoint, is_own_run);
        let run = tx.checkpoints().find(project, found.checkpoint).await.unwrap().unwrap();
        assert_eq!((run.vault, run.created_at), (vault.id, both.created_at));
    }
    for backup in [&c, &d] {
        let found = tx.trash().find(project, backup.id).await.unwrap().unwrap().backup;
        assert_eq!(found.vault, to.id);
        assert!(new_runs.contains(&found.checkpoint));
    }
    let (b, d) = (
        tx.backups().find(project, b.id).await.unwrap().unwrap(),
        tx.trash().find(project, d.id).await.unwrap().unwrap().backup,
    );
    assert_eq!(b.checkpoint, d.checkpoint, "one run, whether deleted or not");
    for backup in [&c, &d] {
        assert!(tx.trash().take_back(project, backup.id, to.id).await.unwrap());
        let found = tx.backups().find(project, backup.id).await.unwrap().unwrap();
        let run = tx.checkpoints().find(project, found.checkpoint).await.unwrap().unwrap();
        assert_eq!((found.vault, run.vault), (to.id, to.id));
    }

    // Nothing in the one vault refers to the other.
    for backup in [&b_stays, &c_stays] {
        assert!(tx.backups().delete(project, backup.id, "available").await.unwrap());
    }
    assert!(tx.vaults().delete(project, from.id).await.unwrap());
    assert_eq!(tx.vaults().find(project, to.id).await.unwrap().unwrap().resources.len(), 1);
}

/// Of a run that is divided, no empty rest stays: neither in the catalogue, where what stays is in the trash,
/// nor in the trash, where what stays is live (RES-21).
async fn a_run_of_which_all_that_is_live_moved_is_only_in_the_trash(database: TestDatabase) {
    let world = World::on(database).await;
    let (moving, staying) = (world.resource("moving"), world.resource("staying"));
    let mut from = world.vault("from");
    from.resources = vec![moving.clone(), staying.clone()];
    let mut tx = world.begin().await;
    tx.vaults().insert(&from).await.unwrap();
    tx.commit().await.unwrap();
    let to = world.stored_vault("to").await;
    let half_live = world.stored_checkpoint(from.id).await;
    let half_deleted = world.stored_checkpoint(from.id).await;
    let live_moves = stored(&world, &from, &half_live, moving.id, false).await;
    let deleted_stays = stored(&world, &from, &half_live, staying.id, true).await;
    let deleted_moves = stored(&world, &from, &half_deleted, moving.id, true).await;
    let live_stays = stored(&world, &from, &half_deleted, staying.id, false).await;

    let wanted = Move { resource: moving.id, from: from.id, to: to.id };
    let (project, mut tx) = (world.project, world.begin().await);
    assert_kept(&mut tx, (from.id, moving.id), &[&live_moves, &deleted_moves]).await;
    assert_kept(&mut tx, (to.id, moving.id), &[]).await;
    assert_eq!(tx.migration().apply(wanted, &moving, || world.id()).await.unwrap(), 1);
    tx.commit().await.unwrap();

    let mut tx = world.begin().await;
    assert_eq!(tx.checkpoints().find(project, half_live.id).await.unwrap(), None);
    assert!(tx.checkpoints().find(project, half_deleted.id).await.unwrap().is_some());
    let run = tx.backups().find(project, live_moves.id).await.unwrap().unwrap().checkpoint;
    assert_eq!(tx.checkpoints().find(project, run).await.unwrap().unwrap().vault, to.id);
    // What comes back finds its run, and what is purged leaves none.
    assert!(tx.trash().take_back(project, deleted_stays.id, from.id).await.unwrap());
    let back = tx.checkpoints().find(project, half_live.id).await.unwrap().unwrap();
    assert_eq!((back.vault, &back.name), (from.id, &half_live.name));
    assert!(tx.trash().take_back(project, deleted_moves.id, to.id).await.unwrap());
    let back = tx.backups().find(project, deleted_moves.id).await.unwrap().unwrap();
    assert_eq!(
        tx.checkpoints().find(project, back.checkpoint).await.unwrap().unwrap().vault,
        to.id
    );
    assert!(tx.backups().delete(project, live_stays.id, "available").await.unwrap());
}
