//! Rules that need the database: what holds across vaults and under concurrency.

use cbr_model::operation::OperationStatus;
use cbr_model::query::{Page, VaultFilter};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::vault::VaultKind;
use cbr_testkit::{Engine, TestDatabase};

use super::world::{
    SECOND_VOLUME, SERVER, SYSTEM_DISK, VOLUME, World, bind, id, only, run, succeeded,
};
use crate::checkpoints::NewCheckpoint;
use crate::rules::vault::tests::wanted;
use crate::vaults::{NewVault, VaultChange, WantedResource};
use crate::{Error, Result};

/// The main job on the other engine: back up, damage, restore, delete everything.
#[tokio::test]
async fn the_main_job_runs_on_postgresql() {
    let Some(database) = TestDatabase::on(Engine::Postgres) else { return };
    let world = World::with_database(database).await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let content = world.provider.content(id(SYSTEM_DISK));
    let first = world.back_up(&vault).await;
    world.provider.write(id(SYSTEM_DISK), 0, &[0xcc; 9000]);
    world.back_up(&vault).await;
    succeeded(&world.restore(first.id).await.unwrap());
    assert!(world.provider.content(id(SYSTEM_DISK)) == content);
    assert_eq!(world.services.sweeps.store().await.unwrap(), 0);
    world.services.vaults.delete(&world.access, vault.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.versions().len(), 0);
}

/// RES-02: in at most one vault, whoever comes first.
#[tokio::test]
async fn a_resource_is_in_one_vault_only() {
    let world = World::new().await;
    let first = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let second = world.vault(VaultKind::Disk, &[]).await;
    let add = |vault| {
        let wanted = vec![bind(ResourceKind::Volume, VOLUME)];
        world.services.vaults.add_resources(&world.access, vault, wanted)
    };
    assert!(matches!(add(second.id).await, Err(Error::ResourceInOtherVault { .. })));
    assert!(add(first.id).await.is_ok(), "contract C8: the same vault again is fine");
    let refused = NewVault { resources: vec![bind(ResourceKind::Volume, VOLUME)], ..wanted() };
    let refused = world.services.vaults.create(&world.access, refused).await;
    assert!(matches!(refused, Err(Error::ResourceInOtherVault { .. })));
    let filter = VaultFilter::default();
    let listed = world.services.vaults.list(&world.access, &filter, Page::default()).await;
    assert_eq!(listed.unwrap().total, 2, "a refused vault is not there");
}

/// RES-05, P17: races do not exceed the capacity.
#[tokio::test]
async fn parallel_bindings_do_not_exceed_the_capacity() {
    let world = World::new().await;
    let wanted = NewVault { size: Gib(1), ..wanted() };
    let vault = world.services.vaults.create(&world.access, wanted).await.unwrap();
    let add = |n| {
        let wanted = vec![bind(ResourceKind::Volume, n)];
        world.services.vaults.add_resources(&world.access, vault.id, wanted)
    };
    let (a, b) = tokio::join!(add(VOLUME), add(SECOND_VOLUME));
    let results: Vec<Result<_>> = vec![a, b];
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    assert_eq!(world.reread(&vault).await.allocated(), Gib(1));
}

/// BAK-25: two requests at once start one backup.
#[tokio::test]
async fn parallel_runs_over_one_resource_start_one_backup() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let (a, b) = tokio::join!(world.start(&vault, true), world.start(&vault, true));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    world.settle().await;
    assert_eq!(world.backups().await.len(), 1);
}

/// BAK-07, contract C23, TSK-08: one checkpoint, numbered names, the rest skipped with a reason.
#[tokio::test]
async fn a_run_takes_what_it_can_and_says_what_it_left_out() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    world.provider.add_volume(id(60), "gone", 1 << 20);
    let wanted = vec![bind(ResourceKind::Volume, 60)];
    world.services.vaults.add_resources(&world.access, vault.id, wanted).await.unwrap();
    world.provider.remove(id(60));
    let view = world.start(&vault, true).await.unwrap();
    assert_eq!(view.status.as_str(), "protecting");
    assert_eq!(view.resources.len(), 2);
    assert_eq!(view.checkpoint.skipped[0].code, "BackupService.7000");
    let names: Vec<String> =
        world.backups_of(&view).await.iter().map(|b| b.name.to_string()).collect();
    assert!(names.contains(&"b-0001".to_owned()) && names.contains(&"b-0002".to_owned()));
    world.settle().await;
    let shown = world.services.checkpoints.show(&world.access, view.checkpoint.id).await.unwrap();
    assert_eq!(shown.status.as_str(), "available");
    assert!(shown.resources.iter().all(|r| r.protect_status.as_str() == "available"));
    let skipped: Vec<_> =
        world.logs().await.into_iter().filter(|l| l.status == OperationStatus::Skipped).collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].error.as_ref().unwrap().code, "BackupService.7000");
}

/// PRD-06, PRD-15, BAK-06, contract C23: checks of the request itself; only what is bound is backed up.
#[tokio::test]
async fn a_run_with_a_bad_request_starts_nothing() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    for bad in [
        NewCheckpoint { name: Some("a b".into()), ..run(&vault) },
        NewCheckpoint { description: "<".into(), ..run(&vault) },
        NewCheckpoint { retention_days: Some(0), ..run(&vault) },
        NewCheckpoint { retention_days: Some(5), auto_trigger: true, ..run(&vault) },
    ] {
        let refused = world.services.checkpoints.create(&world.access, bad).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    let foreign = NewCheckpoint { resources: vec![only(SECOND_VOLUME)], ..run(&vault) };
    let refused = world.services.checkpoints.create(&world.access, foreign).await;
    assert!(matches!(refused, Err(Error::ResourceNotInVault { .. })));
    assert_eq!(world.backups().await.len(), 0);
    let unnamed = NewCheckpoint { name: None, retention_days: Some(1), ..run(&vault) };
    let view = world.services.checkpoints.create(&world.access, unnamed).await.unwrap();
    assert!(view.checkpoint.name.starts_with("manualbk_"));
    let backup = world.backups().await.remove(0);
    let end = backup.created_at.plus_seconds(24 * 3600);
    assert_eq!(backup.expired_at, Some(end));
}

/// VLT-18, RES-09, BAK-26: disks that are left out are not in the backup.
#[tokio::test]
async fn excluded_disks_are_not_backed_up() {
    let world = World::new().await;
    let resource = WantedResource {
        exclude_volumes: vec![id(SYSTEM_DISK)],
        ..bind(ResourceKind::Server, SERVER)
    };
    let wanted = NewVault { kind: VaultKind::Server, resources: vec![resource], ..wanted() };
    let vault = world.services.vaults.create(&world.access, wanted).await.unwrap();
    assert_eq!(vault.allocated(), Gib(1));
    let backup = world.back_up(&vault).await;
    assert_eq!(backup.children.len(), 1);
    assert!(!backup.system_disk);
}

/// RES-08: a disk attached later is taken by the next backup.
#[tokio::test]
async fn a_disk_attached_later_is_in_the_next_backup() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    assert_eq!(world.back_up(&vault).await.children.len(), 2);
    world.provider.add_volume(id(13), "late", 1 << 20);
    world.provider.attach(id(SERVER), id(13));
    let backup = world.back_up(&vault).await;
    assert_eq!(backup.children.len(), 3);
    let incremental: Vec<bool> = backup.children.iter().map(|c| c.incremental).collect();
    assert_eq!(incremental, [true, true, false]);
}

#[tokio::test]
async fn a_vault_and_a_backup_are_renamed_by_the_rules() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let change = VaultChange { name: Some("neu".into()), ..VaultChange::default() };
    world.services.vaults.update(&world.access, vault.id, change).await.unwrap();
    assert_eq!(world.reread(&vault).await.name.as_str(), "neu");
    let backup = world.back_up(&vault).await;
    let bad = world.services.backups.rename(&world.access, backup.id, "a b".into()).await;
    assert!(matches!(bad, Err(Error::Invalid { .. })));
    world.services.backups.rename(&world.access, backup.id, "c".into()).await.unwrap();
    assert_eq!(world.backups().await[0].name.as_str(), "c");
}
