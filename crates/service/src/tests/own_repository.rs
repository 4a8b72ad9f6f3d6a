//! A database is used with its own repository and with no other.

use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_model::backup::Backup;
use cbr_model::operation::OperationStatus;
use cbr_model::vault::VaultKind;
use cbr_store::backend::MemoryBackend;
use cbr_store::{MasterKey, Options, Repository};
use uuid::Uuid;

use super::audit::recorded;
use super::world::{SERVER, VOLUME, World};
use crate::catalogue::{Expected, Lack, NotAccepted, accept, expected, keep, lack};
use crate::content::{reference, versions};

/// A repository of the same key, with nothing in it: what is made at an empty mount point.
fn empty() -> Arc<Repository> {
    let (backend, random) = (Arc::new(MemoryBackend::default()), Arc::new(SeededRandom::new(99)));
    let key = MasterKey::from_bytes([0x11; 32]);
    Arc::new(Repository::init(backend, key, random, Options::default()).unwrap())
}

async fn accepted(world: &World, repository: Option<&Arc<Repository>>) -> Result<(), NotAccepted> {
    accepted_without(world, repository, 0).await
}

async fn accepted_without(
    world: &World,
    repository: Option<&Arc<Repository>>,
    lost: usize,
) -> Result<(), NotAccepted> {
    let random = SeededRandom::new(5);
    accept(&world.db, repository.map(Arc::clone), Some("node"), lost, &random).await.unwrap()
}

fn lacks(missing: usize, of: usize, taken: usize) -> NotAccepted {
    NotAccepted::Lacks(Lack { missing, of, taken })
}

/// P1, P10: rows name versions by number, and another repository counts from one again. So the first id
/// stays, and where an older release kept none but there are rows, none may be made.
#[tokio::test]
async fn a_database_keeps_the_id_of_its_repository() {
    let world = World::with_trash().await;
    let (own, other) = (world.store.repository.id(), empty().id());
    assert_eq!(expected(&world.db).await.unwrap(), Expected::Nothing);
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    assert_eq!(expected(&world.db).await.unwrap(), Expected::Unnamed(1));
    world.delete(&backup).await;
    assert_eq!(expected(&world.db).await.unwrap(), Expected::Unnamed(1), "the trash is there too");
    assert_eq!(keep(&world.db, own).await.unwrap(), own);
    assert_eq!(keep(&world.db, other).await.unwrap(), own, "the first one stays");
    assert_eq!(expected(&world.db).await.unwrap(), Expected::This(own));
}

/// P1, P10, AUD-01: another one is taken only if nothing depends on the present one, and it is recorded.
#[tokio::test]
async fn another_repository_is_accepted_only_if_it_has_all_there_is() {
    let world = World::with_trash().await;
    let own = &world.store.repository;
    assert_eq!(keep(&world.db, Uuid::from_u128(7)).await.unwrap(), Uuid::from_u128(7));
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let servers = world.vault(VaultKind::Server, &[SERVER]).await;
    let trashed = world.back_up(&servers).await;
    world.delete(&trashed).await;
    world.start(&vault, false).await.unwrap();
    assert_eq!(accepted(&world, Some(own)).await, Err(NotAccepted::Tasks(1)));
    world.settle().await;
    let of = 3;
    assert_eq!(lack(&world.db, Arc::clone(own)).await.unwrap(), Lack { missing: 0, of, taken: 0 });
    assert_eq!(lack(&world.db, empty()).await.unwrap(), Lack { missing: 3, of, taken: 0 });
    for lacking in [Some(&empty()), None] {
        let refused = accepted(&world, lacking).await;
        assert_eq!(refused, Err(lacks(3, 3, 0)));
    }
    let mut tx = world.db.begin().await.unwrap();
    tx.nodes().note("other").await.unwrap();
    tx.nodes().note("node").await.unwrap();
    tx.commit().await.unwrap();
    let there = NotAccepted::NodeThere { name: "other".into(), seconds: 0 };
    assert_eq!(accepted(&world, Some(own)).await, Err(there));
    world.clock.advance(std::time::Duration::from_mins(3));
    assert_eq!(expected(&world.db).await.unwrap(), Expected::This(Uuid::from_u128(7)));
    assert_eq!(accepted(&world, Some(own)).await, Ok(()));
    assert_eq!(expected(&world.db).await.unwrap(), Expected::This(own.id()));
    let traces = recorded(&world).await;
    assert!(traces[0].is_by_system() && traces[0].name == "acceptRepository", "{traces:?}");
    assert_eq!(traces[0].resource_id, own.id().to_string());
}

/// P10: that a version of that number is there is not enough: it has to be that backup's.
#[tokio::test]
async fn a_version_of_another_backup_is_not_taken_for_ones_own() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let (first, second) = (world.back_up(&vault).await, world.back_up(&vault).await);
    let mistaken = Backup { state: second.state.clone(), ..first };
    let mut tx = world.db.begin().await.unwrap();
    assert!(tx.backups().update(&mistaken, "available").await.unwrap());
    tx.commit().await.unwrap();
    // It would be restored in its stead: no number lets that pass.
    for lost in [0, 1] {
        let refused = accepted_without(&world, Some(&world.store.repository), lost).await;
        assert_eq!(refused, Err(lacks(1, 2, 1)));
    }
}

/// An installation without backups may begin anew.
#[tokio::test]
async fn without_backups_a_new_repository_may_be_made() {
    let world = World::new().await;
    keep(&world.db, Uuid::from_u128(7)).await.unwrap();
    assert_eq!(accepted(&world, None).await, Ok(()));
    assert_eq!(expected(&world.db).await.unwrap(), Expected::Nothing);
}

/// P1, P10, AUD-01: where the repository of backups is lost for good, another one is taken by who says how many
/// disks are lost. Their rows stay, restore nothing, can be deleted, and nothing new is taken for them.
#[tokio::test]
async fn what_is_lost_is_lost_and_nothing_else_is_taken_for_it() {
    let world = World::new().await;
    keep(&world.db, Uuid::from_u128(7)).await.unwrap();
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let lost = world.back_up(&vault).await;
    let own = &world.store.repository;
    for said in [0, 2] {
        assert_eq!(accepted_without(&world, Some(&empty()), said).await, Err(lacks(1, 1, 0)));
    }
    assert_eq!(accepted_without(&world, Some(own), 1).await, Err(lacks(0, 1, 0)), "it has it");
    // The store of this world loses everything it has: the repository is another one.
    let version = reference(&versions(&lost)[0]);
    own.delete(&version.chain, &[version.seq]).unwrap();
    assert_eq!(accepted_without(&world, Some(own), 1).await, Ok(()));
    assert_eq!(expected(&world.db).await.unwrap(), Expected::This(own.id()));
    let traces = recorded(&world).await;
    assert!(traces[0].resource_name.ends_with("1 disks lost"), "{traces:?}");

    let newer = world.back_up(&vault).await;
    assert_ne!(versions(&newer)[0].chain, versions(&lost)[0].chain);
    assert!(!newer.incremental, "there is nothing before it");
    let log = world.restore(lost.id).await.unwrap();
    assert_eq!(log.status, OperationStatus::Failed, "{log:?}");
    assert_eq!(world.state(newer.id).await.as_str(), "available");
    world.delete(&lost).await;
    assert_eq!(world.backups().await.len(), 1);
    super::world::succeeded(&world.restore(newer.id).await.unwrap());
    assert_eq!(lack(&world.db, Arc::clone(own)).await.unwrap().missing, 0);
}

/// Where there is none left at all, the next start makes one, once.
#[tokio::test]
async fn a_new_repository_may_be_made_for_what_is_lost() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.back_up(&vault).await;
    assert_eq!(accepted_without(&world, None, 0).await, Err(lacks(1, 1, 0)));
    assert_eq!(accepted_without(&world, None, 1).await, Ok(()));
    assert_eq!(expected(&world.db).await.unwrap(), Expected::Nothing);
    let made = empty();
    assert_eq!(keep(&world.db, made.id()).await.unwrap(), made.id());
    assert_eq!(expected(&world.db).await.unwrap(), Expected::This(made.id()));
}
