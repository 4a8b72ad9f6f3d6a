//! What ended half-way, and what a worker that slept does once more: the trash and its rows agree.

use cbr_model::TaskId;
use cbr_model::backup::Backup;
use cbr_model::operation::OperationStatus;
use cbr_model::vault::VaultKind;
use cbr_task::harness::{crash_matrix, sleeper};
use cbr_task::{Outcome, StepError, Task};

use super::world::{SERVER, VOLUME, World, succeeded};
use crate::catalogue::Rebuilt;
use crate::content::{reference, versions};
use crate::core::Core;
use crate::tasks::delete_backup::DeleteTask;
use crate::tasks::purge_backup::{self, PurgeBackupTask};
use crate::tasks::undelete_backup::UndeleteTask;

impl World {
    /// Takes one disk of a backup out of the store's trash, as a task does that ends before the next.
    fn undelete_half(&self, backup: &Backup) {
        let version = reference(&versions(backup)[0]);
        let (chain, seq) = (version.chain, version.seq);
        self.store.repository.undelete(&chain, &[seq], None, "half").unwrap();
    }

    /// Versions in the store that are live, and that are in the trash.
    fn live_and_trashed(&self) -> (usize, usize) {
        (self.versions().values().sum(), self.trashed_versions())
    }

    /// The first stage of a task that waits, and its next one: what a worker has saved who goes to sleep.
    async fn second_stage<T: Task<Ctx = Core>>(&self, task: TaskId) -> T {
        let mut tx = self.db.read().await.unwrap();
        let row = tx.operations().find(self.access.project(), task).await.unwrap().unwrap();
        self.after(serde_json::from_str(&row.stage).unwrap()).await
    }

    /// What a worker that slept makes of its stage.
    async fn wake_up<T: Task<Ctx = Core>>(&self, stage: T) -> Result<T, StepError<T>> {
        let who = (TaskId::from_uuid(uuid::Uuid::from_u128(5)), self.access.project());
        sleeper(&*self.core(), who, stage).await
    }

    async fn after<T: Task<Ctx = Core>>(&self, stage: T) -> T {
        let Ok(next) = self.wake_up(stage).await else { panic!("the step fails") };
        next
    }

    /// Takes a backup back, to the end.
    pub(super) async fn undelete(&self, backup: &Backup) {
        let task = self.services.trash.undelete(&self.access, backup.id, None).await.unwrap();
        self.settle().await;
        succeeded(&self.services.operations.show(&self.access, task).await.unwrap());
    }
}

/// P3, P14: of a server's disks one was taken back before the store went away; giving the backup up gives
/// up all of them, wherever the purge is interrupted.
#[tokio::test]
async fn a_purge_after_half_an_undelete_leaves_nothing() {
    let make = async || {
        let world = World::with_trash().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        world.delete(&backup).await;
        world.undelete_half(&backup);
        assert_eq!((world.live_and_trashed(), world.trash().await.len()), ((1, 1), 1));
        let task = world.services.trash.purge(&world.access, backup.id).await.unwrap();
        world.with_task::<PurgeBackupTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let left = (world.live_and_trashed(), world.trash().await.len());
        assert_eq!(left, ((0, 0), 0), "{fault:?}");
    })
    .await;
}

/// P14: a stage that an older release saved goes on.
#[test]
fn a_purge_of_an_older_release_goes_on() {
    let job = r#"{"project":"00000000-0000-0000-0000-000000000001",
        "backup":"00000000-0000-0000-0000-000000000002","versions":[]}"#;
    let mark = format!(r#"{{"stage":"mark","job":{job}}}"#);
    let purge = format!(r#"{{"stage":"purge","job":{job},"marks":[3]}}"#);
    assert!(matches!(serde_json::from_str(&mark), Ok(PurgeBackupTask::Mark { .. })));
    assert!(matches!(serde_json::from_str(&purge), Ok(PurgeBackupTask::Purge { .. })));
}

/// P8: what is being taken back has its row in the trash; a rebuild writes it no second one.
#[tokio::test]
async fn a_rebuild_knows_what_is_being_taken_back() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.delete(&backup).await;
    world.undelete_half(&backup);
    // Its task is not over.
    world.services.trash.undelete(&world.access, backup.id, None).await.unwrap();
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!(rebuilt, Rebuilt { known: 1, ..Rebuilt::default() });
    assert_eq!((world.backups().await.len(), world.trash().await.len()), (0, 1));
    world.settle().await;
    assert_eq!((world.backups().await.len(), world.trash().await.len()), (1, 0));
    succeeded(&world.restore(backup.id).await.unwrap());
}

/// P14, R9: a deletion that is done once more after its backup was taken back deletes nothing.
#[tokio::test]
async fn a_sleeping_deletion_leaves_what_was_taken_back() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let task = world.services.backups.delete(&world.access, backup.id).await.unwrap();
    let asleep: DeleteTask = world.second_stage(task).await;
    assert!(matches!(asleep, DeleteTask::Trash { .. }), "{asleep:?}");
    world.settle().await;
    assert_eq!(world.live_and_trashed(), (0, 2));
    world.undelete(&backup).await;
    world.wake_up(asleep).await.unwrap();
    assert_eq!(world.live_and_trashed(), (2, 0));
    succeeded(&world.restore(backup.id).await.unwrap());
}

/// P14, R9: one that takes back, after its backup was deleted again, takes nothing back.
#[tokio::test]
async fn a_sleeping_undelete_leaves_what_was_deleted_again() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    world.delete(&backup).await;
    let task = world.services.trash.undelete(&world.access, backup.id, None).await.unwrap();
    let asleep: UndeleteTask = world.second_stage(task).await;
    assert!(matches!(asleep, UndeleteTask::Restore { .. }), "{asleep:?}");
    world.settle().await;
    assert_eq!(world.live_and_trashed(), (2, 0));
    world.delete(&backup).await;
    let refused = world.wake_up(asleep).await;
    assert!(matches!(refused, Err(StepError::Fail { .. })), "{refused:?}");
    assert_eq!(world.live_and_trashed(), (0, 2));
}

/// P14, R9: one that gives up, after its backup was taken back, and after it was deleted again, gives up
/// nothing.
#[tokio::test]
async fn a_sleeping_purge_leaves_what_was_taken_back_or_deleted_again() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    world.delete(&backup).await;
    let task = purge_backup::new(&world.core(), &world.access, &backup);
    let first: PurgeBackupTask = serde_json::from_str(&task.stage).unwrap();
    let trash = world.after(first).await;
    assert!(matches!(trash, PurgeBackupTask::Trash { .. }), "{trash:?}");
    let purge = world.after(trash.clone()).await;
    assert!(matches!(purge, PurgeBackupTask::Purge { .. }), "{purge:?}");
    assert_eq!(world.live_and_trashed(), (0, 2));
    world.undelete(&backup).await;
    for asleep in [&trash, &purge] {
        world.wake_up(asleep.clone()).await.unwrap();
        assert_eq!(world.live_and_trashed(), (2, 0), "{asleep:?}");
    }
    world.delete(&backup).await;
    for asleep in [trash, purge] {
        let name = format!("{asleep:?}");
        world.wake_up(asleep).await.unwrap();
        assert_eq!(world.live_and_trashed(), (0, 2), "{name}");
    }
    world.undelete(&backup).await;
    succeeded(&world.restore(backup.id).await.unwrap());
}

/// VLT-85: when a tenant's keys were destroyed nothing of its backups is left, so they can be deleted, with
/// their vault, and given up.
#[tokio::test]
async fn backups_of_destroyed_keys_can_be_deleted() {
    for world in [World::with_trash().await, World::new().await] {
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let first = world.back_up(&vault).await;
        world.back_up(&vault).await;
        let tenant = world.access.project().as_uuid();
        world.store.repository.shred_tenant(tenant, "it leaked").unwrap();
        world.delete(&first).await;
        let task = world.services.vaults.delete(&world.access, vault.id).await.unwrap();
        world.settle().await;
        let log = world.services.operations.show(&world.access, task).await.unwrap();
        assert_eq!(log.status, OperationStatus::Success, "{:?}", log.error);
        for trashed in world.trash().await {
            let id = trashed.backup.id;
            let task = world.services.trash.purge(&world.access, id).await.unwrap();
            world.settle().await;
            succeeded(&world.services.operations.show(&world.access, task).await.unwrap());
        }
        assert_eq!((world.backups().await.len(), world.trash().await.len()), (0, 0));
    }
}
