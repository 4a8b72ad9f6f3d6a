//! A store that becomes another one while the service runs (P21).

use std::sync::Arc;

use cbr_model::backup::BackupState;
use cbr_model::vault::VaultKind;
use cbr_store::Repository;
use cbr_store::backend::layer::{Arbiter, Fate, Fault, Registered};
use cbr_store::backend::{BackendError, Key, Op};

use super::world::{BLOCK, VOLUME, World, empty_database, id, succeeded};
use crate::catalogue::Health;

/// The store of these tests creates once: nobody asks.
#[derive(Debug)]
struct Nobody;

impl Arbiter for Nobody {
    fn register(&self, key: &Key, _: &[u8]) -> Result<Registered, BackendError> {
        panic!("asked about {key}")
    }
    fn settle(&self, key: &Key, _: Fate) -> Result<(), BackendError> {
        panic!("told about {key}")
    }
    fn unfinished(&self, _: usize) -> Result<Vec<(Key, Vec<u8>)>, BackendError> {
        panic!("asked")
    }
}

async fn world() -> World {
    World::with_repository(empty_database().await, |backend, key, random, options| {
        Repository::init_arbitrated(backend, Arc::new(Nobody), key, random, options)
    })
    .await
}

async fn told_by_doctor(world: &World) -> Option<(Health, String)> {
    let findings = world.services.catalogue.doctor().await.unwrap();
    let found = findings.into_iter().find(|finding| finding.subject.starts_with("object store"));
    found.map(|finding| (finding.health, finding.message))
}

#[tokio::test]
async fn what_the_store_answers_is_kept_and_shown() {
    let world = world().await;
    let watch = &world.services.store_watch;
    assert_eq!(watch.last().await.unwrap(), None);
    assert!(watch.begin().await.unwrap(), "somebody else runs it");
    let first = watch.last().await.unwrap().unwrap();
    assert!(first.answers.len() > 12 && first.answers.iter().all(|answer| answer.holds));
    assert_eq!(first.stopped, None);
    world.clock.advance(std::time::Duration::from_hours(24));
    let asked = watch.ask().await.unwrap().unwrap();
    assert_eq!(asked.at, first.at + 24 * 3600);
    assert_eq!(watch.last().await.unwrap(), Some(asked));
    let (health, message) = told_by_doctor(&world).await.unwrap();
    assert_eq!(health, Health::Good, "{message}");
}

#[tokio::test]
async fn a_store_that_becomes_worse_is_not_written_any_more_and_loses_nothing() {
    let world = world().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    let content = world.provider.content(id(VOLUME));
    let watch = &world.services.store_watch;

    // It does not answer: that is no bad answer.
    world.store.faulty.fail_all(Fault::Io);
    watch.ask().await.unwrap_err();
    world.store.faulty.heal();
    assert_eq!(world.store.repository.stopped(), None);

    world.store.faulty.only(Op::List);
    world.store.faulty.fail_all(Fault::Torn);
    let asked = watch.ask().await.unwrap().unwrap();
    world.store.faulty.heal();
    let reason = asked.stopped.unwrap();
    assert!(reason.contains("what was put is listed at once"), "{reason}");
    let (health, message) = told_by_doctor(&world).await.unwrap();
    assert!(health == Health::Bad && message.contains(&reason), "{message}");

    // A backup fails with the reason, the one that is there is not touched and can be restored.
    let objects = world.backend().snapshot();
    world.provider.write(id(VOLUME), 7 * BLOCK, &[9; 300]);
    let view = world.start(&vault, true).await.unwrap();
    world.settle().await;
    let failed = world.backups_of(&view).await.pop().unwrap();
    assert_eq!(failed.state.as_str(), "error");
    let logs = world.logs().await;
    assert!(format!("{:?}", logs[0].error).contains("started again"), "{:?}", logs[0].error);
    assert_eq!(world.backend().snapshot(), objects);
    assert!(matches!(world.state(backup.id).await, BackupState::Available { .. }));
    succeeded(&world.restore(backup.id).await.unwrap());
    assert!(world.provider.content(id(VOLUME)) == content);
}

#[tokio::test]
async fn a_repository_in_a_directory_is_not_asked() {
    let world = World::new().await;
    assert!(!world.services.store_watch.begin().await.unwrap());
    assert_eq!(world.services.store_watch.ask().await.unwrap(), None);
    assert_eq!(world.services.store_watch.last().await.unwrap(), None);
    assert_eq!(told_by_doctor(&world).await, None);
}
