//! What a rebuild found does not go by itself (P8, ADR 34): what kept it was in the lost database.

use std::time::Duration;

use cbr_model::backup::Backup;
use cbr_model::retention::HoldKind;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};

use super::audit::recorded;
use super::billing::{DAY, hasty};
use super::schedules::{every_day, wanted};
use super::world::{SECOND_VOLUME, SERVER, VOLUME, World, run};
use crate::catalogue::Health;
use crate::checkpoints::NewCheckpoint;
use crate::policies::{KeepReason, Verdict};

impl World {
    /// One that a policy might have made.
    async fn automatic(&self, vault: &Vault) -> Backup {
        self.made(NewCheckpoint { auto_trigger: true, name: None, ..run(vault) }).await
    }

    async fn made(&self, wanted: NewCheckpoint) -> Backup {
        let view = self.services.checkpoints.create(&self.access, wanted).await.unwrap();
        self.settle().await;
        self.backups_of(&view).await.remove(0)
    }

    async fn warnings(&self) -> Vec<String> {
        let findings = self.services.catalogue.doctor().await.unwrap();
        let is_about = |one: &crate::catalogue::Finding| one.subject == "after a rebuild";
        findings
            .into_iter()
            .filter(|one| is_about(one) && one.health == Health::Warning)
            .map(|one| one.message)
            .collect()
    }

    async fn expire(&self) -> usize {
        self.services.expiry.sweep().await.unwrap();
        self.settle().await;
        self.backups().await.len()
    }
}

/// P8, RET-12, RET-14, IMG-06, AUD-01: what a hold or an image kept stays after the database is lost, whether
/// its own end has come or a policy counts it; until it is released, one by one or all, which is recorded.
#[tokio::test]
async fn what_a_hold_or_an_image_kept_outlives_the_database() {
    let world = World::new().await;
    let disks = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let servers = world.vault(VaultKind::Server, &[SERVER]).await;
    let held = world.automatic(&disks).await;
    world.services.expiry.hold(&world.access, held.id, "for the court".into()).await.unwrap();
    // It ends in a day.
    let imaged = world.made(NewCheckpoint { retention_days: Some(1), ..run(&servers) }).await;
    let image = super::images::wanted(imaged.id);
    world.services.images.create(&world.access, image).await.unwrap();
    world.settle().await;

    let world = world.without_database().await;
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((rebuilt.backups, rebuilt.held), (2, 2));
    assert_eq!(world.services.catalogue.rebuild().await.unwrap().held, 0, "the same again");
    assert!(world.warnings().await[0].starts_with("2 backups"), "{:?}", world.warnings().await);
    let counts = wanted(every_day("2"), r#"{"max_backups":1}"#);
    world.policy(&disks, counts).await;
    // In the afternoon, when what is at its end goes.
    world.clock.advance(Duration::from_hours(10 * 24 + 2));
    for _ in 0..2 {
        world.automatic(&disks).await;
    }
    assert_eq!(world.expire().await, 3, "of those made since, the older one has gone");
    for id in [held.id, imaged.id] {
        let why = world.services.expiry.why(&world.access, id).await.unwrap();
        assert_eq!(why.verdict, Verdict::Keep(KeepReason::Held));
        assert_eq!(why.holds[0].kind, HoldKind::Rebuilt);
    }

    world.services.expiry.release(&world.access, imaged.id).await.unwrap();
    assert_eq!(world.expire().await, 2, "this one was released");
    assert_eq!(world.services.catalogue.release_rebuilt().await.unwrap(), 1);
    let traces = recorded(&world).await;
    let released = traces.iter().find(|trace| trace.name == "releaseRebuilt").unwrap();
    assert!(released.is_by_system() && released.resource_name == "1 backups", "{released:?}");
    assert_eq!(world.services.catalogue.release_rebuilt().await.unwrap(), 0);
    assert_eq!(world.warnings().await, Vec::<String>::new());
    world.clock.advance(Duration::from_mins(1));
    let newest = world.automatic(&disks).await;
    assert_eq!(world.expire().await, 1, "now it is one of too many");
    assert_eq!(world.backups().await[0].id, newest.id);
}

/// P8: a database that is some hours old does not know what was held meanwhile, also of the backups it has.
#[tokio::test]
async fn an_old_database_keeps_also_what_it_knows() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let first = world.start(&vault, true).await.unwrap();
    world.settle().await;
    let [known, lost] = &world.backups_of(&first).await[..] else { panic!("two disks") };
    let mut tx = world.db.begin().await.unwrap();
    let gone = Backup { state: lost.state.clone().begin_delete().unwrap(), ..lost.clone() };
    assert!(tx.backups().update(&gone, "available").await.unwrap());
    assert!(tx.backups().delete(lost.project, lost.id, "deleting").await.unwrap());
    tx.commit().await.unwrap();
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((rebuilt.backups, rebuilt.known, rebuilt.held), (1, 1, 2));
    let why = world.services.expiry.why(&world.access, known.id).await.unwrap();
    assert_eq!(why.verdict, Verdict::Keep(KeepReason::Held));
}

/// P8, BIL-06: balances were lost with the database; for a debt that comes of that nothing is deleted.
#[tokio::test]
async fn a_rebuilt_vault_is_not_released_for_a_debt() {
    let world = hasty().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.back_up(&vault).await;
    let world = world.without_database().await;
    world.services.catalogue.rebuild().await.unwrap();
    world.credit(-1, "owes").await.unwrap();
    world.hours(4 * DAY).await;
    world.settle().await;
    assert_eq!(world.status(&vault).await, VaultStatus::Frozen);
    assert_eq!(world.backups().await.len(), 1);
    assert_eq!(world.services.catalogue.release_rebuilt().await.unwrap(), 1);
    world.hours(1).await;
    world.settle().await;
    assert!(!world.is_there(&vault).await);
}

/// P8: a backup that was taken back after the copy of the database was made is there again, and is not given up
/// as the trash of then says.
#[tokio::test]
async fn what_was_taken_back_since_is_not_given_up() {
    let world = World::with_trash().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let backup = world.back_up(&vault).await;
    world.delete(&backup).await;
    assert_eq!((world.backups().await.len(), world.trash().await.len()), (0, 1));
    // The copy is from now; then somebody takes it back.
    let version = crate::content::reference(&crate::content::versions(&backup)[0]);
    let repository = &world.store.repository;
    repository.undelete(&version.chain, &[version.seq], None, "test").unwrap();
    let rebuilt = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((rebuilt.backups, rebuilt.held), (1, 1));
    assert_eq!(world.trash().await.len(), 0);
    assert_eq!(world.backups().await[0].id, backup.id);
    let why = world.services.expiry.why(&world.access, backup.id).await.unwrap();
    assert_eq!(why.holds[0].kind, HoldKind::Rebuilt);
    let again = world.services.catalogue.rebuild().await.unwrap();
    assert_eq!((again.backups, again.held, again.known), (0, 0, 1));
}
