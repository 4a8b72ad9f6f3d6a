//! Backups that were deleted and can be taken back.

use cbr_db::NewTask;
use cbr_model::Timestamp;
use cbr_model::backup::{AppConsistency, Backup, BackupState, Content};
use cbr_model::operation::OperationType;
use cbr_model::vault::Vault;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_backup_goes_to_the_trash_and_comes_back_as_it_was,
    only_what_is_being_deleted_and_has_content_goes,
    what_is_due_is_what_was_deleted_long_enough_ago,
    the_trash_is_filled_from_elsewhere_and_emptied,
    a_vault_goes_though_a_backup_of_its_run_came_back_elsewhere,
    what_is_coming_back_is_what_unfinished_tasks_bring,
}

/// A server's backup with one disk, in a state of `state`.
async fn stored(world: &World, state: impl Fn(Content) -> BackupState) -> (Vault, Backup) {
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut backup = world.backup(vault.id, checkpoint.id, world.id(), "one");
    backup.state = state(Content::Server);
    backup.app_consistency = Some(AppConsistency::FellBack {
        code: "BackupService.7410".into(),
        message: "no agent".into(),
    });
    let mut child = world.backup(vault.id, checkpoint.id, world.id(), "disk");
    child.parent = Some(backup.id);
    child.state = state(world.disk(5));
    backup.children = vec![child];
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    tx.commit().await.unwrap();
    (vault, backup)
}

fn deleting(content: Content) -> BackupState {
    BackupState::Deleting { content: Some(content) }
}

/// The same, available, changed at `at`.
fn available(backup: &Backup, at: Timestamp) -> Backup {
    let change = |backup: &Backup| {
        let content = backup.state.content().unwrap().clone();
        let state = BackupState::Available { content };
        Backup { state, updated_at: at, children: Vec::new(), ..backup.clone() }
    };
    Backup { children: backup.children.iter().map(change).collect(), ..change(backup) }
}

async fn a_backup_goes_to_the_trash_and_comes_back_as_it_was(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, backup) = stored(&world, deleting).await;
    let (project, id) = (world.project, backup.id);
    let mut tx = world.begin().await;
    assert!(!tx.trash().put(world.id(), id).await.unwrap(), "another project");
    assert!(tx.trash().put(project, id).await.unwrap());
    assert!(!tx.trash().put(project, id).await.unwrap(), "it is there already");
    assert!(tx.checkpoints().delete_if_empty(project, backup.checkpoint).await.unwrap());
    assert_eq!(tx.backups().find(project, id).await.unwrap(), None);
    assert_eq!(tx.vaults().find(project, vault.id).await.unwrap().unwrap().used.0, 0);
    let now = tx.now();
    tx.commit().await.unwrap();

    let mut tx = world.begin().await;
    let found = tx.trash().find(project, id).await.unwrap().unwrap();
    assert_eq!((&found.backup, found.trashed_at), (&available(&backup, backup.updated_at), now));
    assert_eq!(tx.trash().list(project, 10).await.unwrap(), [found]);
    assert_eq!(tx.trash().list(world.id(), 10).await.unwrap(), []);
    assert_eq!(tx.trash().find(project, backup.children[0].id).await.unwrap(), None, "a child");
    let disks = tx.trash().stored_disks().await.unwrap();
    assert_eq!((disks.len(), disks[0].backup), (1, backup.children[0].id));
    assert!(!tx.trash().take_back(world.id(), id, vault.id).await.unwrap(), "another project");
    assert!(tx.trash().take_back(project, id, vault.id).await.unwrap());
    assert!(!tx.trash().take_back(project, id, vault.id).await.unwrap(), "it is back already");
    let back = tx.backups().find(project, id).await.unwrap().unwrap();
    assert_eq!(back, available(&backup, tx.now()));
    let run = tx.checkpoints().find(project, backup.checkpoint).await.unwrap();
    assert_eq!(run.unwrap().vault, vault.id);
    assert_eq!(tx.trash().list(project, 10).await.unwrap(), []);
}

async fn only_what_is_being_deleted_and_has_content_goes(database: TestDatabase) {
    let world = World::on(database).await;
    let (_, kept) = stored(&world, |content| BackupState::Available { content }).await;
    let (_, empty) = stored(&world, |_| BackupState::Deleting { content: None }).await;
    let mut tx = world.begin().await;
    for backup in [&kept, &empty] {
        assert!(!tx.trash().put(world.project, backup.id).await.unwrap());
        let still = tx.backups().find(world.project, backup.id).await.unwrap();
        assert_eq!(still.as_ref(), Some(backup));
    }
    assert_eq!(tx.trash().list(world.project, 10).await.unwrap(), []);
}

async fn what_is_due_is_what_was_deleted_long_enough_ago(database: TestDatabase) {
    let world = World::on(database).await;
    let mut times = Vec::new();
    for seconds in [5, 0, 5] {
        let (_, backup) = stored(&world, deleting).await;
        let mut tx = world.begin().await;
        assert!(tx.trash().put(world.project, backup.id).await.unwrap());
        times.push((tx.now(), backup.id));
        tx.commit().await.unwrap();
        world.clock.advance(std::time::Duration::from_secs(seconds));
    }
    let mut tx = world.read().await;
    let (end, first) = times[0];
    let due = tx.trash().due(end, None, 10).await.unwrap();
    assert_eq!(due.iter().map(|one| one.backup.id).collect::<Vec<_>>(), [first]);
    assert_eq!(tx.trash().due(end.plus_seconds(-1), None, 10).await.unwrap(), []);
    let late = end.plus_seconds(60);
    assert_eq!(tx.trash().due(late, None, 9).await.unwrap().len(), 3);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = tx.trash().due(late, after, 1).await.unwrap();
        let Some(one) = page.first() else { break };
        after = Some((one.trashed_at, one.backup.id));
        paged.extend(after);
    }
    times.sort_unstable();
    assert_eq!(paged, times, "each once, the oldest first, also of the same time");
}

async fn the_trash_is_filled_from_elsewhere_and_emptied(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, backup) = stored(&world, deleting).await;
    let mut tx = world.begin().await;
    let run = tx.checkpoints().find(world.project, backup.checkpoint).await.unwrap().unwrap();
    assert!(tx.backups().delete(world.project, backup.id, "deleting").await.unwrap());
    let backup = available(&backup, backup.updated_at);
    tx.trash().insert(&backup, &run).await.unwrap();
    assert_eq!(tx.trash().find(world.project, backup.id).await.unwrap().unwrap().backup, backup);
    assert!(tx.vaults().delete(world.project, vault.id).await.unwrap(), "nothing refers to it");
    assert!(tx.trash().forget(world.project, backup.id).await.unwrap());
    assert!(!tx.trash().forget(world.project, backup.id).await.unwrap());
    assert_eq!(tx.trash().stored_disks().await.unwrap(), []);
}

/// VLT-60, VLT-81: of a run over two disks one backup came back into another vault, so the run is needed
/// there; its own vault goes all the same.
async fn a_vault_goes_though_a_backup_of_its_run_came_back_elsewhere(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, other) = (world.stored_vault("a").await, world.stored_vault("b").await);
    let run = world.stored_checkpoint(vault.id).await;
    let empty = world.stored_checkpoint(vault.id).await;
    let mut tx = world.begin().await;
    let mut backups = Vec::new();
    for name in ["one", "two"] {
        let mut backup = world.backup(vault.id, run.id, world.id(), name);
        backup.state = deleting(world.disk(5));
        tx.backups().insert(&backup).await.unwrap();
        backups.push(backup.id);
    }
    assert!(tx.trash().put(world.project, backups[0]).await.unwrap());
    assert!(tx.trash().take_back(world.project, backups[0], other.id).await.unwrap());
    assert!(tx.trash().put(world.project, backups[1]).await.unwrap());
    assert!(!tx.vaults().delete(world.id(), vault.id).await.unwrap(), "another project");
    let still = tx.checkpoints().find(world.project, run.id).await.unwrap().unwrap();
    assert_eq!(still.vault, vault.id);
    assert!(tx.vaults().delete(world.project, vault.id).await.unwrap());
    let still = tx.checkpoints().find(world.project, run.id).await.unwrap().unwrap();
    assert_eq!(still.vault, other.id);
    assert_eq!(tx.checkpoints().find(world.project, empty.id).await.unwrap(), None);
    let kept = tx.backups().find(world.project, backups[0]).await.unwrap().unwrap();
    assert_eq!((kept.vault, kept.checkpoint), (other.id, run.id));
    tx.commit().await.unwrap();
}

/// VLT-57: counted as the usage of a vault is, a server with all of its disks.
async fn what_is_coming_back_is_what_unfinished_tasks_bring(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, backup) = stored(&world, deleting).await;
    let mut tx = world.begin().await;
    let used = tx.vaults().find(world.project, vault.id).await.unwrap().unwrap().used;
    assert!(tx.trash().put(world.project, backup.id).await.unwrap());
    assert_eq!(tx.trash().coming_back(vault.id).await.unwrap().0, 0, "nobody takes it back");
    let task = |operation, vault| NewTask {
        operation: Some(operation),
        vault: Some(vault),
        backup: Some(backup.id),
        ..NewTask::new(world.id(), world.project, "k", "{}".into())
    };
    tx.tasks().insert(&task(OperationType::Undelete, world.id())).await.unwrap();
    tx.tasks().insert(&task(OperationType::Purge, vault.id)).await.unwrap();
    assert_eq!(tx.trash().coming_back(vault.id).await.unwrap().0, 0, "not into this one");
    tx.tasks().insert(&task(OperationType::Undelete, vault.id)).await.unwrap();
    assert!(used.0 > 0);
    assert_eq!(tx.trash().coming_back(vault.id).await.unwrap(), used);
    assert!(tx.trash().take_back(world.project, backup.id, vault.id).await.unwrap());
    assert_eq!(tx.trash().coming_back(vault.id).await.unwrap().0, 0, "it is in use now");
}
