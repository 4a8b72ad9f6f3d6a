//! Servers made from images, changed and deleted, however it is interrupted.

use cbr_model::vault::VaultKind;
use cbr_model::{ResourceId, TaskId};
use cbr_provider::fake::{Fault as Break, Operation};
use cbr_provider::{NewServer, Provider as _, ServerFactory as _};
use cbr_task::Outcome;
use cbr_task::harness::crash_matrix;
use uuid::Uuid;

use super::world::{SERVER, VOLUME, World, id};
use crate::Error;
use crate::servers::{PowerAction, ServerError, ServerStatus};
use crate::tasks::change_server::ChangeServer;
use crate::tasks::create_server::{self, CreateServer};
use crate::tasks::power::PowerTask;
use crate::volumes::{NewVolumeRequest, VolumeFilter};

const MADE: ResourceId = ResourceId::from_uuid(Uuid::from_u128(0x5e));

fn disk(name: &str) -> NewVolumeRequest {
    NewVolumeRequest {
        name: Some(name.into()),
        description: String::new(),
        size: Some(cbr_model::size::Gib(1)),
        volume_type: None,
        availability_zone: None,
        backup: None,
    }
}

/// A disk that was made: its job and its id.
async fn volume(world: &World, name: &str) -> (TaskId, ResourceId) {
    let started = world.services.volumes.create(&world.access, disk(name)).await.unwrap();
    world.settle().await;
    (started.job, started.volume)
}

/// A server that was made, of one disk.
async fn server(world: &World) -> ResourceId {
    let (_, root) = volume(world, "root").await;
    let server = NewServer { id: MADE, name: "made".into(), volumes: vec![root] };
    world.provider.create_server(&server).await.unwrap();
    root
}

async fn volumes(world: &World) -> u64 {
    let (filter, page) = (VolumeFilter::default(), cbr_model::query::Page::default());
    world.services.volumes.list(&world.access, &filter, page).await.unwrap().total
}

/// IMG-01, P14: after any crash there is one server with its disks.
#[tokio::test]
async fn a_crash_at_any_step_of_making_a_server_makes_one() {
    let make = async || {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Server, &[SERVER]).await;
        let backup = world.back_up(&vault).await;
        let (job, root) = volume(&world, "root").await;
        let spec = create_server::Spec {
            id: MADE,
            name: "made".into(),
            project: world.access.project(),
            disks: vec![create_server::Disk { job, volume: root }],
        };
        let task = create_server::new(&world.core(), &world.access, spec, &backup);
        let mut tx = world.db.begin().await.unwrap();
        tx.tasks().insert(&task).await.unwrap();
        tx.commit().await.unwrap();
        world.with_task::<CreateServer>(task.id)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let shown = world.services.servers.show(&world.access, MADE).await.unwrap();
        assert_eq!((shown.status, shown.volumes.len()), (ServerStatus::Shutoff, 1), "{fault:?}");
    })
    .await;
}

/// P14, RES-19: a running server is off and gone after any crash, its disks with it if that was wished.
#[tokio::test]
async fn a_crash_at_any_step_of_deleting_a_server_deletes_it() {
    let make = async || {
        let world = World::new().await;
        server(&world).await;
        world.provider.target().unwrap().power_on(MADE).await.unwrap();
        let job = world.services.servers.delete(&world.access, &[MADE], true).await.unwrap();
        world.with_task::<ChangeServer>(job)
    };
    let before = volumes(&World::new().await).await;
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let gone = world.services.servers.show(&world.access, MADE).await;
        assert!(matches!(gone, Err(Error::ServerNotFound(_))), "{fault:?}: {gone:?}");
        assert_eq!(volumes(world).await, before, "{fault:?}");
    })
    .await;
}

/// NEW-11, P14: after any crash the disk is attached, once.
#[tokio::test]
async fn a_crash_at_any_step_of_attaching_attaches_once() {
    let make = async || {
        let world = World::new().await;
        server(&world).await;
        let job = world.services.servers.attach(&world.access, MADE, id(VOLUME)).await.unwrap();
        world.with_task::<ChangeServer>(job)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        let shown = world.services.servers.show(&world.access, MADE).await.unwrap();
        let disks: Vec<_> = shown.volumes.iter().map(|disk| disk.id).collect();
        assert_eq!(disks.len(), 2, "{fault:?}");
        assert_eq!(disks[1], id(VOLUME), "{fault:?}");
    })
    .await;
}

/// P14: a restart ends with a server that runs, unless it was called off in time.
#[tokio::test]
async fn a_crash_at_any_step_of_a_restart_leaves_a_running_server() {
    let make = async || {
        let world = World::new().await;
        let (servers, reboot) = (&world.services.servers, PowerAction::Reboot);
        let job = servers.act(&world.access, reboot, &[id(SERVER)]).await.unwrap();
        world.with_task::<PowerTask>(job)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        let shown = world.services.servers.show(&world.access, id(SERVER)).await.unwrap();
        let runs = shown.status == ServerStatus::Active;
        assert_eq!(runs, ended.outcome == Outcome::Success, "{fault:?}");
    })
    .await;
}

/// What is deleted with a server are the disks it has then.
#[tokio::test]
async fn a_disk_that_was_taken_away_meanwhile_does_not_go_with_the_server() {
    let world = World::new().await;
    let root = server(&world).await;
    world.provider.attach(MADE, id(VOLUME));
    world.services.servers.detach(&world.access, MADE, id(VOLUME)).await.unwrap();
    world.services.servers.delete(&world.access, &[MADE], true).await.unwrap();
    world.settle().await;
    world.services.volumes.show(&world.access, id(VOLUME)).await.unwrap();
    let gone = world.services.volumes.show(&world.access, root).await;
    assert!(matches!(gone, Err(Error::VolumeNotFound(_))), "{gone:?}");
}

/// Nor do any when somebody else deleted the server first.
#[tokio::test]
async fn the_disks_of_a_server_that_is_gone_already_stay() {
    let world = World::new().await;
    let root = server(&world).await;
    let job = world.services.servers.delete(&world.access, &[MADE], true).await.unwrap();
    world.provider.remove(MADE);
    world.settle().await;
    let job = world.services.jobs.show(&world.access, job).await.unwrap();
    assert_eq!(job.status, crate::jobs::JobStatus::Success);
    world.services.volumes.show(&world.access, root).await.unwrap();
}

/// A disk that cannot be deleted keeps none of the others.
#[tokio::test]
async fn with_a_server_all_disks_go_that_can() {
    let world = World::new().await;
    let root = server(&world).await;
    let (_, data) = volume(&world, "data").await;
    world.provider.attach(MADE, data);
    world.provider.fail(Operation::Delete, 1, Break::Refused);
    let job = world.services.servers.delete(&world.access, &[MADE], true).await.unwrap();
    world.settle().await;
    let job = world.services.jobs.show(&world.access, job).await.unwrap();
    assert_eq!(job.status, crate::jobs::JobStatus::Fail);
    world.services.volumes.show(&world.access, root).await.unwrap();
    let gone = world.services.volumes.show(&world.access, data).await;
    assert!(matches!(gone, Err(Error::VolumeNotFound(_))), "{gone:?}");
}

/// Nor does one that cannot be deleted just now: the others go at once, and it when it can.
#[tokio::test]
async fn a_disk_that_has_to_wait_keeps_no_other_from_going() {
    let world = World::new().await;
    let root = server(&world).await;
    let (_, data) = volume(&world, "data").await;
    world.provider.attach(MADE, data);
    world.provider.fail(Operation::Delete, 1, Break::Unavailable);
    let job = world.services.servers.delete(&world.access, &[MADE], true).await.unwrap();
    world.services.engine(cbr_task::Options::default()).run_due().await.unwrap();
    world.services.volumes.show(&world.access, root).await.unwrap();
    let gone = async |disk| {
        let shown = world.services.volumes.show(&world.access, disk).await;
        matches!(shown, Err(Error::VolumeNotFound(_)))
    };
    assert!(gone(data).await, "it was tried although the one before it failed");
    world.settle().await;
    assert!(gone(root).await);
    let job = world.services.jobs.show(&world.access, job).await.unwrap();
    assert_eq!(job.status, crate::jobs::JobStatus::Success);
}

/// Two that want one disk: the second is told in its job, whatever was true when it asked.
#[tokio::test]
async fn a_disk_that_was_given_away_meanwhile_is_not_given_twice() {
    let world = World::new().await;
    server(&world).await;
    let (_, root) = volume(&world, "other").await;
    let other = ResourceId::from_uuid(Uuid::from_u128(0x5f));
    let wanted = NewServer { id: other, name: "other".into(), volumes: vec![root] };
    world.provider.create_server(&wanted).await.unwrap();
    let first = world.services.servers.attach(&world.access, MADE, id(VOLUME)).await.unwrap();
    let second = world.services.servers.attach(&world.access, other, id(VOLUME)).await.unwrap();
    world.settle().await;
    let mut ends = Vec::new();
    for job in [first, second] {
        ends.push(world.services.jobs.show(&world.access, job).await.unwrap().status);
    }
    ends.sort_by_key(|status| format!("{status:?}"));
    assert_eq!(ends, [crate::jobs::JobStatus::Fail, crate::jobs::JobStatus::Success]);
    let taken = world.services.servers.attach(&world.access, MADE, id(VOLUME)).await;
    assert!(matches!(taken, Err(Error::Server(ServerError::VolumeNotAttachable { .. }))));
}
