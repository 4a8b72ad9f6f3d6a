//! Vaults for databases: as long as nothing brings databases to rest, each backup in them is the ordinary one of the
//! server, and says why.

use std::time::Duration;

use cbr_model::backup::{AppConsistency, Backup};
use cbr_model::operation::{OperationDetails, OperationLog, OperationStatus, OperationType};
use cbr_model::vault::{Consistency, Vault, VaultKind};
use cbr_task::Outcome;
use cbr_task::harness::{Fault, crash_matrix};

use super::schedules::{at, every_day, wanted as wanted_policy, world_at};
use super::world::{BLOCK, DATA_DISK, SERVER, SYSTEM_DISK, World, bind, id, run, succeeded};
use crate::error::VaultRefusal;
use crate::rules::vault::tests::wanted;
use crate::tasks::backup::BackupTask;
use crate::vaults::{NewVault, VaultChange};
use crate::{Error, Result};

impl World {
    async fn database_vault(&self, resources: &[u128]) -> Vault {
        let kind = VaultKind::Server;
        let resources = resources.iter().map(|n| bind(kind.resource_kind().unwrap(), *n)).collect();
        let consistency = Consistency::AppConsistent;
        let wanted = NewVault { kind, consistency, resources, ..wanted() };
        self.services.vaults.create(&self.access, wanted).await.unwrap()
    }

    /// As an agent would have left it: nothing in the service makes such a backup yet.
    async fn make_consistent(&self, backup: &Backup) {
        let mut tx = self.db.begin().await.unwrap();
        tx.backups().set_app_consistency(backup.id, &AppConsistency::Reached).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn change_to_databases(&self, vault: &Vault) -> Result<Vault> {
        let consistency = Some(Consistency::AppConsistent);
        let change = VaultChange { consistency, ..VaultChange::default() };
        self.services.vaults.update(&self.access, vault.id, change).await
    }
}

fn logged(log: &OperationLog) -> Option<&AppConsistency> {
    match &log.details {
        OperationDetails::Backup { app_consistency, .. } => app_consistency.as_ref(),
        other => panic!("{other:?}"),
    }
}

/// It says that it is the ordinary one, and why; its disks say nothing of their own.
#[track_caller]
fn assert_fell_back(what: Option<&AppConsistency>) {
    let Some(AppConsistency::FellBack { code, message }) = what else { panic!("{what:?}") };
    assert_eq!(code, "BackupService.7410");
    for part in ["database backup of server web failed", "no agent", "ordinary server backup"] {
        assert!(message.contains(part), "`{message}` should say `{part}`");
    }
}

/// VLT-08, VLT-09, DBS-16, DBS-19, DBS-20, BAK-57: without an agent the ordinary backup of all disks is made in the same
/// vault; it and its log say so, and it is restored like any other. In an ordinary vault nobody says anything.
#[tokio::test]
async fn without_an_agent_the_ordinary_backup_is_made() {
    let world = World::new().await;
    let vault = world.database_vault(&[SERVER]).await;
    let backup = world.back_up(&vault).await;
    assert_eq!((backup.vault, backup.children.len()), (vault.id, 2));
    assert_fell_back(backup.app_consistency.as_ref());
    assert!(backup.children.iter().all(|disk| disk.app_consistency.is_none()));
    let log = world.logs().await.remove(0);
    succeeded(&log);
    assert_fell_back(logged(&log));
    assert_eq!(
        world.events().await,
        [],
        "MON-08: nothing has failed that somebody has to be told of"
    );

    let contents = [SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n)));
    world.provider.write(id(DATA_DISK), 0, &[0x55; 9000]);
    let next = world.back_up(&vault).await;
    assert!(next.incremental, "as ever, it builds on the one before");
    assert_fell_back(next.app_consistency.as_ref());
    for n in [SYSTEM_DISK, DATA_DISK] {
        world.provider.write(id(n), 0, &[0xdd; 9000]);
    }
    succeeded(&world.restore(backup.id).await.unwrap());
    assert!([SYSTEM_DISK, DATA_DISK].map(|n| world.provider.content(id(n))) == contents);

    let world = World::new().await;
    let ordinary = world.vault(VaultKind::Server, &[SERVER]).await;
    assert_eq!(world.back_up(&ordinary).await.app_consistency, None);
    assert_eq!(logged(&world.logs().await[0]), None);
}

/// VLT-90, VLT-09: what counts is the vault when the snapshot is taken; what was backed up before says nothing.
#[tokio::test]
async fn a_vault_that_becomes_one_for_databases_wants_it_from_then_on() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let before = world.back_up(&vault).await;
    let view = world.start(&vault, true).await.unwrap();
    let changed = world.change_to_databases(&vault).await.unwrap();
    assert_eq!(changed.consistency, Consistency::AppConsistent);
    world.settle().await;
    assert_fell_back(world.backups_of(&view).await[0].app_consistency.as_ref());
    let before = world.services.backups.show(&world.access, before.id).await.unwrap();
    assert_eq!(before.app_consistency, None);
}

/// VLT-09, DBS-16, POL-03: a policy's run does the same.
#[tokio::test]
async fn a_policy_falls_back_too() {
    let world = world_at(at(-10, 0)).await;
    let vault = world.database_vault(&[SERVER]).await;
    world.policy(&vault, wanted_policy(every_day("0"), "{}")).await;
    assert_eq!(world.sweep_at(at(0, 0)).await, 1);
    let backup = world.backups().await.remove(0);
    assert!(backup.auto_trigger);
    assert_eq!(backup.state.as_str(), "available");
    assert_fell_back(backup.app_consistency.as_ref());
    assert_fell_back(logged(&world.logs().await[0]));
}

/// VLT-09, BAK-51: an ordinary backup that fails as well has failed; its log says why the database backup did, too.
#[tokio::test]
async fn when_the_ordinary_backup_fails_as_well_both_reasons_are_told() {
    let world = World::new().await;
    let vault = world.database_vault(&[SERVER]).await;
    world.provider.set_bad_byte(id(DATA_DISK), Some(7 * BLOCK + 5));
    world.start(&vault, true).await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await[0].state.as_str(), "error");
    let log = world.logs().await.remove(0);
    assert_eq!(log.status, OperationStatus::Failed);
    assert!(log.error.as_ref().unwrap().message.contains("cannot read the source"));
    assert_fell_back(logged(&log));
}

/// VLT-09, P1, P2: wherever the work is interrupted, and whatever is repeated, there is one backup, with one reason, in the
/// catalogue, in the log and in the store.
#[tokio::test]
async fn a_crash_anywhere_leaves_one_backup_with_one_reason() {
    let make = async || {
        let world = World::new().await;
        let vault = world.database_vault(&[SERVER]).await;
        world.start(&vault, true).await.unwrap();
        let task = world.waiting().await;
        world.with_task::<BackupTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        let backups = world.backups().await;
        assert_eq!(backups.len(), 1, "{fault:?}");
        let is_cancelled = ended.outcome != Outcome::Success;
        assert!(!is_cancelled || matches!(fault, Fault::CancelBefore(_)), "{fault:?}");
        let log = world.services.operations.show(&world.access, made.task).await.unwrap();
        assert_eq!(logged(&log), backups[0].app_consistency.as_ref(), "{fault:?}");
        if !is_cancelled {
            assert_fell_back(backups[0].app_consistency.as_ref());
            assert_eq!(world.versions().values().sum::<usize>(), 2, "{fault:?}");
        }
        assert_eq!(world.provider.open_snapshots(), 0, "{fault:?}");
    })
    .await;
}

/// P8, BAK-57: the cards in the store say it, so it is known when the database is lost, and so is the vault's
/// specification.
#[tokio::test]
async fn a_rebuild_knows_what_fell_back() {
    let world = World::new().await;
    let vault = world.database_vault(&[SERVER]).await;
    let before = world.back_up(&vault).await;
    let world = world.without_database().await;
    world.services.catalogue.rebuild().await.unwrap();
    let after = world.services.backups.show(&world.access, before.id).await.unwrap();
    assert_eq!(after.app_consistency, before.app_consistency);
    assert!(after.children.iter().all(|disk| disk.app_consistency.is_none()));
    let rebuilt = world.services.vaults.show(&world.access, vault.id).await.unwrap();
    assert_eq!(rebuilt.consistency, Consistency::AppConsistent);
}

/// RES-28, contract D 6126: what fell back is an ordinary backup and goes anywhere; an application-consistent one, also
/// in the trash, stays in vaults for databases, and so does its resource. The other way everything goes.
#[tokio::test]
async fn application_consistent_backups_stay_in_vaults_for_databases() {
    let world = World::with_trash().await;
    let databases = world.database_vault(&[SERVER]).await;
    let ordinary = world.vault(VaultKind::Server, &[]).await;
    let refused = async |from: &Vault, to: &Vault| {
        let refused = world.migrate(from, to, SERVER).await;
        matches!(refused, Err(Error::Vault(VaultRefusal::NotForDatabases(vault))) if vault == to.id)
    };
    let backup = world.back_up(&databases).await;
    world.migrate(&databases, &ordinary, SERVER).await.unwrap();
    world.settle().await;
    world.migrate(&ordinary, &databases, SERVER).await.unwrap();
    world.settle().await;
    let moved = world.services.backups.show(&world.access, backup.id).await.unwrap();
    assert_eq!(moved.vault, databases.id);
    assert_fell_back(moved.app_consistency.as_ref());

    world.make_consistent(&backup).await;
    assert!(refused(&databases, &ordinary).await);
    world.services.backups.delete(&world.access, backup.id).await.unwrap();
    world.settle().await;
    assert!(refused(&databases, &ordinary).await, "it could come back");
    let trash = &world.services.trash;
    let elsewhere = trash.undelete(&world.access, backup.id, Some(ordinary.id)).await;
    let refusal = VaultRefusal::NotForDatabases(ordinary.id);
    assert!(matches!(elsewhere, Err(Error::Vault(r)) if r == refusal));
    let other = world.database_vault(&[]).await;
    trash.undelete(&world.access, backup.id, Some(other.id)).await.unwrap();
    world.settle().await;
    let back = world.services.backups.show(&world.access, backup.id).await.unwrap();
    assert_eq!((back.vault, back.app_consistency), (other.id, Some(AppConsistency::Reached)));
    world.migrate(&databases, &ordinary, SERVER).await.unwrap();
    world.settle().await;
}

/// RES-28: the task looks again: what was found while the request was checked may not be all.
#[tokio::test]
async fn a_move_that_has_become_forbidden_fails_with_6126() {
    let world = World::new().await;
    let databases = world.database_vault(&[SERVER]).await;
    let ordinary = world.vault(VaultKind::Server, &[]).await;
    let backup = world.back_up(&databases).await;
    world.migrate(&databases, &ordinary, SERVER).await.unwrap();
    world.make_consistent(&backup).await;
    world.settle().await;
    let logs = world.logs().await;
    let log = logs.iter().find(|log| log.operation == OperationType::Migrate).unwrap();
    assert_eq!(log.status, OperationStatus::Failed);
    assert_eq!(log.error.as_ref().unwrap().code, "BackupService.6126");
    let still = world.services.backups.show(&world.access, backup.id).await.unwrap();
    assert_eq!(still.vault, databases.id);
    world.clock.advance(Duration::from_secs(1));
    world.services.checkpoints.create(&world.access, run(&databases)).await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await.len(), 2, "it is protected where it was");
}
