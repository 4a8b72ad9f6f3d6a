//! RGN-07: what lies in a pool that cannot be read is out of reach, not gone, and in the way of nothing else.

use cbr_model::backup::BackupState;
use cbr_model::policy::run::RunState;
use cbr_model::query::Page;
use cbr_model::resource::ResourceKind;
use cbr_model::vault::VaultKind;

use super::schedules::{at, every_day, wanted};
use super::volumes::empty;
use super::world::{DATA_DISK, SECOND_VOLUME, SERVER, VOLUME, World, bind, id};
use crate::Error;
use crate::failure::Code;
use crate::protectables::ProtectableFilter;
use crate::volumes::{NewVolumeRequest, VolumeFilter};

const LOST: &str = "distant";

/// A second pool, in a zone of its own, with these in it.
fn second_pool(world: &World, volumes: &[u128]) {
    world.provider.add_pool(LOST, "far-away");
    for volume in volumes {
        world.provider.put_into(id(*volume), LOST);
    }
}

/// A run leaves out what it cannot reach, and says so; the vault keeps it, and its backups.
#[tokio::test]
async fn a_run_takes_what_it_can_reach() {
    let world = World::new().await;
    second_pool(&world, &[SECOND_VOLUME]);
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    world.settle().await;
    let before = world.backups().await;
    assert_eq!(before.len(), 2);
    world.provider.lose_pool(LOST, true);

    let run = world.start(&vault, true).await.unwrap();
    world.settle().await;
    let skipped = &run.checkpoint.skipped;
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].id, id(SECOND_VOLUME));
    assert_eq!(skipped[0].code, Code::VolumeStatus.as_str(), "not that it is gone");
    assert!(skipped[0].reason.contains(LOST), "{skipped:?}");
    let made = world.backups_of(&run).await;
    assert_eq!(made.len(), 1);
    assert!(matches!(made[0].state, BackupState::Available { .. }));
    let bound: Vec<_> = world.reread(&vault).await.resources.iter().map(|bound| bound.id).collect();
    assert_eq!(bound, [id(VOLUME), id(SECOND_VOLUME)], "both stay bound");
    for backup in before {
        assert!(matches!(world.state(backup.id).await, BackupState::Available { .. }));
    }
    // It can still be taken out of the vault, and nothing of it is told to be missing.
    world.provider.lose_pool(LOST, false);
    let run = world.start(&vault, true).await.unwrap();
    world.settle().await;
    assert_eq!((run.checkpoint.skipped.len(), world.backups_of(&run).await.len()), (0, 2));
}

/// A policy whose resources are all out of reach is tried again, and its occurrence is not lost; one that
/// reaches some of them goes on.
#[tokio::test]
async fn a_policy_waits_for_what_it_cannot_reach_at_all() {
    let world = World::new().await;
    second_pool(&world, &[SECOND_VOLUME]);
    world.clock.set(at(0, 0));
    let near = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let far = world.vault(VaultKind::Disk, &[SECOND_VOLUME]).await;
    let daily = wanted(every_day("1"), "{}");
    let policy = world.policy(&near, daily).await;
    world.bind_policy(&far, policy.id).await;
    world.provider.lose_pool(LOST, true);
    world.clock.set(at(1, 0));
    let first = world.services.schedules.sweep().await;
    world.settle().await;
    let started = |runs: &[cbr_model::policy::run::PolicyRun], vault: cbr_model::VaultId| {
        runs.iter().any(|run| run.vault == vault && run.state == RunState::Started)
    };
    let runs = world.runs().await;
    assert!(started(&runs, near.id), "{first:?} {runs:?}");
    assert!(!runs.iter().any(|run| run.vault == far.id && run.state == RunState::Skipped));
    assert!(!started(&runs, far.id));

    world.provider.lose_pool(LOST, false);
    world.sweep_at(at(1, 5)).await;
    assert!(started(&world.runs().await, far.id), "{:?}", world.runs().await);
}

/// "Not listed" is not "gone": whoever asks for it is told that it is out of reach, and what is near is
/// listed, shown, bound, restored and made as ever.
#[tokio::test]
async fn what_is_out_of_reach_is_told_from_what_is_gone() {
    let world = World::new().await;
    second_pool(&world, &[SECOND_VOLUME, DATA_DISK]);
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.provider.lose_pool(LOST, true);
    let (access, services) = (&world.access, &world.services);

    let page =
        services.volumes.list(access, &VolumeFilter::default(), Page::default()).await.unwrap();
    assert!(page.rows.iter().any(|volume| volume.id == id(VOLUME)));
    assert!(!page.rows.iter().any(|volume| volume.id == id(SECOND_VOLUME)));
    let shown = services.volumes.show(access, id(SECOND_VOLUME)).await;
    assert!(matches!(shown, Err(Error::ResourceUnreachable { .. })), "{shown:?}");
    let shown = services.protectables.show(access, ResourceKind::Volume, id(SECOND_VOLUME)).await;
    assert!(matches!(shown, Err(Error::ResourceUnreachable { .. })), "{shown:?}");
    let wanted = vec![bind(vault.kind.resource_kind().unwrap(), SECOND_VOLUME)];
    let bound = services.vaults.add_resources(access, vault.id, wanted).await;
    assert!(matches!(bound, Err(Error::ResourceUnreachable { .. })), "{bound:?}");

    // A server with a disk in that pool is in fault, in the list of all, and not backed up without it.
    let all = services
        .protectables
        .list(access, ResourceKind::Server, &ProtectableFilter::default(), Page::default())
        .await
        .unwrap();
    let server = all.iter().find(|one| one.id() == id(SERVER)).unwrap();
    let obstacle = server.obstacle.as_ref().unwrap();
    assert_eq!(obstacle.code, Code::ServerStatus.as_str());
    let own = world.vault(VaultKind::Server, &[]).await;
    let wanted = vec![bind(own.kind.resource_kind().unwrap(), SERVER)];
    services.vaults.add_resources(access, own.id, wanted).await.unwrap_err();

    world.restore(backup.id).await.unwrap();
    world.settle().await;
    assert!(matches!(world.state(backup.id).await, BackupState::Available { .. }));
    let made = services.volumes.create(access, empty()).await.unwrap();
    world.settle().await;
    assert_eq!(services.volumes.show(access, made.volume).await.unwrap().volume_type, "memory");
    let there = NewVolumeRequest { availability_zone: Some("far-away".into()), ..empty() };
    let refused = services.volumes.create(access, there).await;
    assert!(matches!(refused, Err(Error::ResourceUnreachable { .. })), "{refused:?}");

    // Doctor names the pool.
    let findings = services.catalogue.doctor().await.unwrap();
    let told = findings.iter().find(|finding| finding.subject == "provider").unwrap();
    assert!(told.message.contains(LOST), "{told:?}");
}
