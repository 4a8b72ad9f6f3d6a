//! Accounts that asked to be moved here.

use cbr_model::Timestamp;
use cbr_model::domain_migration::DomainMigration;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    the_last_wish_of_an_account_is_kept,
}

async fn the_last_wish_of_an_account_is_kept(database: TestDatabase) {
    let world = World::on(database).await;
    let first = DomainMigration {
        domain: world.id(),
        user: world.id(),
        all_regions: true,
        reservation_millionths: 200_000,
        asked_at: Timestamp(5),
    };
    let mut tx = world.begin().await;
    assert_eq!(tx.domain_migrations().find(first.domain).await.unwrap(), None);
    tx.domain_migrations().keep(&first).await.unwrap();
    tx.domain_migrations().keep(&first).await.unwrap();
    assert_eq!(tx.domain_migrations().find(first.domain).await.unwrap(), Some(first.clone()));
    let second = DomainMigration {
        all_regions: false,
        reservation_millionths: 1_000_000,
        asked_at: Timestamp(6),
        ..first
    };
    tx.domain_migrations().keep(&second).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.begin().await;
    assert_eq!(tx.domain_migrations().find(second.domain).await.unwrap(), Some(second));
    assert_eq!(tx.domain_migrations().find(world.id()).await.unwrap(), None);
}
