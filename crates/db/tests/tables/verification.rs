//! What is known about the soundness of what is stored.

use cbr_db::DamagedSpot;
use cbr_model::Timestamp;
use cbr_model::backup::{BackupState, Content};
use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_model::resource::ResourceKind;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    what_was_scrubbed_is_kept_until_a_pass_does_not_come_by_it,
    damage_of_a_domain_is_replaced_and_keeps_its_date,
    the_integrity_of_a_backup_goes_with_it,
    what_a_pass_read_is_whole_unless_it_is_newer_or_damaged,
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
    let beside = tx.backups().extras(backup.project, &[backup.id]).await.unwrap();
    assert_eq!(beside[&backup.id].integrity, known);
    let foreign = world.id();
    assert_eq!(tx.verification().damaged_backups().await.unwrap(), 1);
    assert_eq!(tx.verification().integrity(foreign, backup.id).await.unwrap(), None);
    known = Integrity { state: IntegrityState::Ok, verified_at: None, lost: vec![] };
    tx.verification().set_integrity(backup.id, &known).await.unwrap();
    let found = tx.verification().integrity(backup.project, backup.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&known));
    assert!(tx.backups().delete(backup.project, backup.id, "protecting").await.unwrap());
    tx.verification().set_integrity(backup.id, &known).await.unwrap();
    assert_eq!(tx.verification().integrity(backup.project, backup.id).await.unwrap(), None);
}

/// P14: in parts of any size; nothing is whole that the pass may not have read, or that is known not to be.
async fn what_a_pass_read_is_whole_unless_it_is_newer_or_damaged(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let run = world.stored_checkpoint(vault.id).await;
    let started = Timestamp(100);
    let known = |state, verified_at: i64| Integrity {
        state,
        verified_at: Some(Timestamp(verified_at)),
        lost: vec![(0, 65_536)],
    };
    // When it was complete, what was known, and what is afterwards.
    let whole = |at: i64| Some((IntegrityState::Ok, Some(Timestamp(at))));
    let cases = [
        (Some(99), None, whole(100)),
        (Some(100), None, None),
        (None, None, None),
        (Some(5), Some(known(IntegrityState::Unknown, 7)), whole(100)),
        (Some(5), Some(known(IntegrityState::Ok, 200)), whole(200)),
        (
            Some(5),
            Some(known(IntegrityState::Damaged, 7)),
            Some((IntegrityState::Damaged, Some(Timestamp(7)))),
        ),
    ];
    for limit in [1, 2, 5, 6, 1000] {
        let mut tx = world.begin().await;
        let mut stored = Vec::new();
        let mut server = world.backup(vault.id, run.id, world.id(), "server");
        server.resource_kind = ResourceKind::Server;
        server.state = BackupState::Available { content: Content::Server };
        server.protected_at = Some(Timestamp(1));
        tx.backups().insert(&server).await.unwrap();
        for (protected_at, known, after) in &cases {
            let mut backup = world.backup(vault.id, run.id, world.id(), "b");
            backup.state = BackupState::Available { content: world.disk(7) };
            backup.protected_at = protected_at.map(Timestamp);
            tx.backups().insert(&backup).await.unwrap();
            if let Some(known) = known {
                tx.verification().set_integrity(backup.id, known).await.unwrap();
            }
            stored.push((backup.id, *after));
        }
        let (mut last, mut rounds) = (None, 0);
        loop {
            last = tx.verification().mark_whole(started, last, limit).await.unwrap();
            rounds += 1;
            if last.is_none() {
                break;
            }
        }
        assert!(rounds >= 7 / limit, "{rounds} rounds of {limit}");
        for (backup, after) in stored {
            let found = tx.verification().integrity(world.project, backup).await.unwrap();
            let seen = found.as_ref().map(|found| (found.state, found.verified_at));
            assert_eq!(seen, after, "in parts of {limit}");
            let is_whole = found.is_some_and(|found| found.lost.is_empty());
            assert_eq!(is_whole, after.is_some_and(|(state, _)| state == IntegrityState::Ok));
        }
        let server = tx.verification().integrity(world.project, server.id).await.unwrap();
        assert_eq!(server, None, "only disks have bytes");
        assert_eq!(tx.verification().newest_whole().await.unwrap().len(), 3);
        tx.rollback().await.unwrap();
    }
}
