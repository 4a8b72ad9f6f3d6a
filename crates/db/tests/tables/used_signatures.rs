//! Which signatures were used.

use std::time::Duration;

use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_signature_is_used_once_until_it_is_forgotten,
}

/// P27: whoever is second, also at the same time, hears that it is.
async fn a_signature_is_used_once_until_it_is_forgotten(database: TestDatabase) {
    let world = World::on(database).await;
    let expires_at = world.now().plus_seconds(10);
    let note = async || {
        let mut tx = world.db.begin_beside().await.unwrap();
        let is_first = tx.used_signatures().note([7; 32], expires_at).await.unwrap();
        tx.commit().await.unwrap();
        is_first
    };
    let (one, two, three) = tokio::join!(note(), note(), note());
    assert_eq!(u8::from(one) + u8::from(two) + u8::from(three), 1);
    let sweep = async || {
        let mut tx = world.begin().await;
        let swept = tx.used_signatures().delete_expired().await.unwrap();
        tx.commit().await.unwrap();
        swept
    };
    assert_eq!(sweep().await, 0);
    assert!(!note().await);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(sweep().await, 1);
    assert!(note().await);
}
