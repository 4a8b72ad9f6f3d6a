//! The work of a machine that is gone for good.

use std::time::Duration;

use cbr_model::resource::ProtectStatus;
use cbr_model::vault::VaultKind;
use cbr_task::Options;

use super::world::{VOLUME, World};
use crate::catalogue::Health;
use crate::nodes::{Kept, nodes, take_over};

/// P3: the backup ends and the disk is free again, by whichever machine.
#[tokio::test]
async fn what_waits_for_a_machine_that_is_gone_is_done_by_another() {
    let world = World::new().await;
    let db = &world.db;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let view = world.start(&vault, true).await.unwrap();
    // As if another machine had begun it.
    take_over(db, "gone", "node", false).await.unwrap().unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.nodes().note("gone").await.unwrap();
    tx.commit().await.unwrap();
    let engine = || world.services.engine(Options::default());
    assert_eq!(engine().run_due().await.unwrap(), 0, "it waits for that machine");

    let fresh = take_over(db, "node", "gone", false).await.unwrap();
    assert_eq!(fresh, Err(Kept::StillThere(0)));
    let unknown = take_over(db, "node", "nobody", true).await.unwrap();
    assert_eq!(unknown, Err(Kept::Unknown(vec!["gone".into()])));
    assert_eq!(take_over(db, "node", "node", true).await.unwrap(), Err(Kept::Itself));

    world.clock.advance(Duration::from_mins(3));
    let found = world.services.catalogue.doctor().await.unwrap();
    let told = found.iter().find(|finding| finding.subject == "other node").unwrap();
    assert_eq!(told.health, Health::Warning);
    assert!(told.message.contains("cbr node take-over gone"), "{}", told.message);

    let moved = take_over(db, "node", "gone", false).await.unwrap().unwrap();
    assert_eq!((moved.tasks, moved.exports), (1, 0));
    world.settle().await;
    assert_eq!(world.backups_of(&view).await[0].state.as_str(), "available");
    let vault = world.reread(&vault).await;
    assert_eq!(vault.resources[0].protect_status, ProtectStatus::Available);
    let (left, _) = nodes(db).await.unwrap();
    assert!(left.iter().all(|node| node.name != "gone"), "{left:?}");
}

/// Whoever insists is not asked how long ago the machine was there.
#[tokio::test]
async fn an_operator_may_insist() {
    let world = World::new().await;
    let mut tx = world.db.begin().await.unwrap();
    tx.nodes().note("other").await.unwrap();
    tx.commit().await.unwrap();
    let kept = take_over(&world.db, "node", "other", false).await.unwrap();
    assert_eq!(kept, Err(Kept::StillThere(0)));
    assert!(take_over(&world.db, "node", "other", true).await.unwrap().is_ok());
}
