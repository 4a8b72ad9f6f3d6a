//! What is known about the soundness of what is stored.

use cbr_db::DamagedSpot;
use cbr_model::Timestamp;
use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    what_was_scrubbed_is_kept_until_a_pass_does_not_come_by_it,
    damage_of_a_domain_is_replaced_and_keeps_its_date,
    the_integrity_of_a_backup_goes_with_it,
}

async fn what_was_scrubbed_is_kept_until_a_pass_does_not_come_by_it(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    for (object, level) in [("a", "full"), ("b", "full"), ("a", "sample")] {
        tx.verification().set_scrubbed(object, level).await.unwrap();
    }
    let now = tx.now();
    tx.commit().await.unwrap();
    let later = Timestamp(now.0 + 1);
    let mut tx = world.begin().await;
    assert_eq!(tx.verification().count_scrubbed_since(now).await.unwrap(), 2);
    assert_eq!(tx.verification().count_scrubbed_since(later).await.unwrap(), 0);
    assert_eq!(tx.verification().forget_scrubbed_before(now).await.unwrap(), 0);
    assert_eq!(tx.verification().forget_scrubbed_before(later).await.unwrap(), 2);
}

fn spot(spot: &str, found_at: i64) -> DamagedSpot {
    DamagedSpot {
        domain: "t/v1.0".into(),
        spot: spot.into(),
        object: "o".into(),
        what: "flipped".into(),
        found_at: Timestamp(found_at),
    }
}

async fn damage_of_a_domain_is_replaced_and_keeps_its_date(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    tx.verification().set_damage("t/v1.0", &[spot("p/1", 5), spot("p/2", 5)]).await.unwrap();
    tx.verification().set_damage("t/v2.0", &[]).await.unwrap();
    tx.verification().set_damage("t/v1.0", &[spot("p/3", 9), spot("p/2", 9)]).await.unwrap();
    let found = tx.verification().damage_in("t/v1.0").await.unwrap();
    assert_eq!(found, [spot("p/2", 5), spot("p/3", 9)]);
    assert_eq!(tx.verification().damage().await.unwrap(), found);
    assert_eq!(tx.verification().damage_in("t/v2.0").await.unwrap(), []);
}

async fn the_integrity_of_a_backup_goes_with_it(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = world.stored_backup().await;
    let mut known = Integrity {
        state: IntegrityState::Damaged,
        verified_at: Some(Timestamp(7)),
        lost: vec![(65_536, 131_072)],
    };
    let mut tx = world.begin().await;
    assert_eq!(tx.verification().integrity(backup.project, backup.id).await.unwrap(), None);
    tx.verification().set_integrity(backup.id, &known).await.unwrap();
    tx.verification().set_integrity(world.id(), &known).await.unwrap();
    let found = tx.verification().integrity(backup.project, backup.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&known));
    let foreign = world.id();
    let all = tx.verification().all_integrity().await.unwrap();
    assert_eq!(all.get(&backup.id), found.as_ref());
    assert_eq!(tx.verification().integrity(foreign, backup.id).await.unwrap(), None);
    known = Integrity { state: IntegrityState::Ok, verified_at: None, lost: vec![] };
    tx.verification().set_integrity(backup.id, &known).await.unwrap();
    let found = tx.verification().integrity(backup.project, backup.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&known));
    assert!(tx.backups().delete(backup.project, backup.id, "protecting").await.unwrap());
    tx.verification().set_integrity(backup.id, &known).await.unwrap();
    assert_eq!(tx.verification().integrity(backup.project, backup.id).await.unwrap(), None);
}
