//! Disks and servers: listing, making, deleting.

use cbr_model::ResourceId;
use cbr_model::query::Page;
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::vault::VaultKind;
use cbr_provider::fake::{Fault as Break, Operation};
use cbr_task::harness::crash_matrix;
use cbr_task::{Options, Outcome};

use super::world::{SERVER, SYSTEM_DISK, VOLUME, World, id};
use crate::Error;
use crate::jobs::{JobStatus, JobWork};
use crate::protectables::ProtectableFilter;
use crate::tasks::create_volume::CreateVolume;
use crate::tasks::delete_volume::DeleteVolume;
use crate::tasks::limit::UNFINISHED_MAX;
use crate::volumes::{NewVolumeRequest, VolumeFilter, VolumeStatus};

pub(super) fn empty() -> NewVolumeRequest {
    NewVolumeRequest {
        name: Some("new".into()),
        description: String::new(),
        size: Some(Gib(1)),
        volume_type: None,
        availability_zone: None,
        backup: None,
    }
}

/// NEW-01, NEW-04, NEW-06, RST-47: also from one disk of a server.
#[tokio::test]
async fn a_disk_made_from_a_backup_has_its_content() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let whole = NewVolumeRequest { backup: Some(backup.id), ..empty() };
    let refused = world.services.volumes.create(&world.access, whole).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "a server is no disk");

    let child = backup.children.iter().find(|c| c.resource == id(SYSTEM_DISK)).unwrap();
    let wanted = NewVolumeRequest { backup: Some(child.id), size: None, ..empty() };
    let started = world.services.volumes.create(&world.access, wanted).await.unwrap();
    let coming = world.services.volumes.show(&world.access, started.volume).await.unwrap();
    assert_eq!(coming.status, VolumeStatus::Creating);
    let in_use = world.services.backups.delete(&world.access, backup.id).await;
    assert!(matches!(in_use, Err(Error::BackupInUse(_))), "it is being read");
    world.settle().await;
    let job = world.services.jobs.show(&world.access, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Success);
    assert!(matches!(job.work, JobWork::CreateVolume(disk) if disk.id == started.volume));
    let source = world.provider.content(id(SYSTEM_DISK));
    assert!(world.provider.head(started.volume, source.len()) == source);
    let made = world.services.volumes.show(&world.access, started.volume).await.unwrap();
    assert_eq!((made.status, made.size), (VolumeStatus::Available, Gib(1)));
}

/// P24, P26: one project does not fill the pool of all, nor the queue.
#[tokio::test]
async fn what_one_project_may_ask_for_is_bounded() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let content = crate::content::versions(&backup)[0].logical_bytes.0;
    let full = NewVolumeRequest { backup: Some(backup.id), ..empty() };
    let create = async |wanted: &NewVolumeRequest| {
        world.services.volumes.create(&world.access, wanted.clone()).await.map(drop)
    };
    world.provider.leave_free(2 * content - 1);
    create(&full).await.unwrap();
    // What is on its way takes its room already.
    let refused = create(&full).await;
    assert!(
        matches!(&refused, Err(Error::Invalid { reason, .. }) if reason.contains("left")),
        "{refused:?}"
    );
    for _ in 1..UNFINISHED_MAX {
        create(&empty()).await.unwrap();
    }
    let refused = create(&empty()).await;
    assert!(matches!(refused, Err(Error::TooManyTasks { limit: UNFINISHED_MAX })), "{refused:?}");
}

/// A disk that cannot be filled does not stay.
#[tokio::test]
async fn a_disk_that_cannot_be_filled_goes_again() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.provider.fail(Operation::Writer, 1, Break::Refused);
    let wanted = NewVolumeRequest { backup: Some(backup.id), ..empty() };
    let started = world.services.volumes.create(&world.access, wanted).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&world.access, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Fail);
    let gone = world.services.volumes.show(&world.access, started.volume).await;
    assert!(matches!(gone, Err(Error::VolumeNotFound(_))));
}

/// P1: the one who makes the disk may learn late that it was handed over, and by then its
/// owner has begun to use it.
#[tokio::test]
async fn a_disk_that_was_handed_over_is_not_written_again() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.provider.fail(Operation::FinishAnswer, 1, Break::Unavailable);
    let wanted = NewVolumeRequest { backup: Some(backup.id), ..empty() };
    let started = world.services.volumes.create(&world.access, wanted).await.unwrap();
    world.services.engine(Options::default()).run_due().await.unwrap();
    assert_eq!(world.provider.open_restores(), 0, "it is handed over");
    world.provider.write(started.volume, 0, b"its owner's");
    world.settle().await;
    let job = world.services.jobs.show(&world.access, started.job).await.unwrap();
    assert_eq!(job.status, JobStatus::Success);
    assert!(world.provider.head(started.volume, 11) == b"its owner's");
}

/// P14.
#[tokio::test]
async fn a_crash_at_any_step_of_making_a_disk_makes_one_disk() {
    let make = async || {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let backup = world.back_up(&vault).await;
        let wanted = NewVolumeRequest { backup: Some(backup.id), ..empty() };
        let started = world.services.volumes.create(&world.access, wanted).await.unwrap();
        world.with_task::<CreateVolume>(started.job)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let (filter, page) = (VolumeFilter { name: Some("new".into()), ..all() }, Page::default());
        let found = world.services.volumes.list(&world.access, &filter, page).await.unwrap();
        assert_eq!(found.total, 1, "{fault:?}");
        let source = world.provider.content(id(VOLUME));
        let copy = world.provider.head(found.rows[0].id, source.len());
        assert!(copy == source, "{fault:?}");
        assert_eq!(world.provider.open_restores(), 0, "{fault:?}");
    })
    .await;
}

/// P14: deleting a disk that is gone already is fine.
#[tokio::test]
async fn a_crash_at_any_step_of_deleting_a_disk_deletes_it() {
    let make = async || {
        let world = World::new().await;
        let job = world.services.volumes.delete(&world.access, id(VOLUME)).await.unwrap();
        world.with_task::<DeleteVolume>(job)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let gone = world.services.volumes.show(&world.access, id(VOLUME)).await;
        assert!(matches!(gone, Err(Error::VolumeNotFound(_))), "{fault:?}");
    })
    .await;
}

fn all() -> VolumeFilter {
    VolumeFilter::default()
}

/// PRD-12, PRD-27, RES-19, RES-20: a disk that goes takes none of its backups along: another one is made from them.
#[tokio::test]
async fn a_disk_is_deleted_unless_something_uses_it() {
    let world = World::new().await;
    let attached = world.services.volumes.delete(&world.access, id(SYSTEM_DISK)).await;
    assert!(matches!(attached, Err(Error::VolumeNotDeletable { .. })));
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let before = world.provider.content(id(VOLUME));
    world.start(&vault, true).await.unwrap();
    let busy = world.services.volumes.delete(&world.access, id(VOLUME)).await;
    assert!(matches!(busy, Err(Error::VolumeNotDeletable { .. })));
    world.settle().await;
    let job = world.services.volumes.delete(&world.access, id(VOLUME)).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&world.access, job).await.unwrap();
    assert_eq!(job.status, JobStatus::Success);
    let gone = world.services.volumes.show(&world.access, id(VOLUME)).await;
    assert!(matches!(gone, Err(Error::VolumeNotFound(_))));
    // Its backups stay, and so does its place in the vault.
    let backups = world.backups().await;
    assert_eq!(backups.len(), 1);
    assert_eq!(world.reread(&vault).await.resources.len(), 1);
    let wanted = NewVolumeRequest { backup: Some(backups[0].id), size: None, ..empty() };
    let made = world.services.volumes.create(&world.access, wanted).await.unwrap();
    world.settle().await;
    assert!(world.provider.head(made.volume, before.len()) == before);
}

#[tokio::test]
async fn sizes_pools_and_names_are_checked() {
    let world = World::new().await;
    let create = async |wanted| world.services.volumes.create(&world.access, wanted).await;
    for bad in [
        NewVolumeRequest { size: None, ..empty() },
        NewVolumeRequest { size: Some(Gib(0)), ..empty() },
        NewVolumeRequest { size: Some(Gib(70_000)), ..empty() },
        NewVolumeRequest { name: Some(String::new()), ..empty() },
        NewVolumeRequest { description: "<".into(), ..empty() },
        NewVolumeRequest { availability_zone: Some("mars".into()), ..empty() },
    ] {
        let refused = create(bad.clone()).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{bad:?}: {refused:?}");
    }
}

/// RES-02, RES-06, contract C53.
#[tokio::test]
async fn protectables_say_where_they_are_bound() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let list = async |kind, filter: &ProtectableFilter| {
        world.services.protectables.list(&world.access, kind, filter, Page::default()).await
    };
    let servers = list(ResourceKind::Server, &ProtectableFilter::default()).await.unwrap();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].vault.as_ref().map(|v| v.id), Some(vault.id));
    assert_eq!((servers[0].children.len(), servers[0].size()), (2, Gib(2)));
    let at_server = ProtectableFilter { server: Some(id(SERVER)), ..ProtectableFilter::default() };
    let disks = list(ResourceKind::Volume, &at_server).await.unwrap();
    assert_eq!(disks.len(), 2);
    world.provider.set_server_status(
        id(SERVER),
        cbr_provider::ServerStatus::Fault { why: "no power".into() },
    );
    let servers = list(ResourceKind::Server, &ProtectableFilter::default()).await.unwrap();
    let obstacle = servers[0].obstacle.as_ref().unwrap();
    assert_eq!(
        (obstacle.code.as_str(), obstacle.reason.as_str()),
        ("BackupService.7101", "no power")
    );
    let absent = ResourceId::from_uuid(uuid::Uuid::from_u128(404));
    let none = world.services.protectables.show(&world.access, ResourceKind::Volume, absent).await;
    assert!(matches!(none, Err(Error::VolumeNotFound(_))));
}
