//! Claims on objects: the first one stands, whoever else comes, at the same time or later (P21).

use std::sync::Arc;

use cbr_db::{Db, ObjectClaim};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    the_first_claim_on_an_object_stands_and_its_bytes_are_kept_until_it_is_written,
    of_claims_at_the_same_time_one_is_new,
}

const PLACE: &str = "s3://backups/cbr";

async fn claim(db: &Db, place: &str, key: &str, body: &[u8]) -> ObjectClaim {
    let mut tx = db.begin().await.unwrap();
    let claim = tx.object_claims().claim(place, key, body).await.unwrap();
    tx.commit().await.unwrap();
    claim
}

async fn unfinished(world: &World) -> Vec<(String, Vec<u8>)> {
    world.read().await.object_claims().unfinished(PLACE, 10).await.unwrap()
}

async fn the_first_claim_on_an_object_stands_and_its_bytes_are_kept_until_it_is_written(
    database: TestDatabase,
) {
    let world = World::on(database).await;
    let bytes = [0, 255, 39, 92];
    assert_eq!(claim(&world.db, PLACE, "a", &bytes).await, ObjectClaim::New);
    assert_eq!(claim(&world.db, PLACE, "a", b"other").await, ObjectClaim::Open(bytes.to_vec()));
    assert_eq!(claim(&world.db, PLACE, "empty", b"").await, ObjectClaim::New);
    assert_eq!(claim(&world.db, PLACE, "empty", b"x").await, ObjectClaim::Open(Vec::new()));
    assert_eq!(claim(&world.db, "s3://elsewhere", "a", b"other").await, ObjectClaim::New);
    assert_eq!(
        unfinished(&world).await,
        [("a".to_owned(), bytes.to_vec()), ("empty".to_owned(), Vec::new())]
    );

    let mut tx = world.begin().await;
    tx.object_claims().mark_written(PLACE, "a").await.unwrap();
    tx.object_claims().mark_written(PLACE, "never claimed").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim(&world.db, PLACE, "a", b"other").await, ObjectClaim::Written);
    assert_eq!(unfinished(&world).await, [("empty".to_owned(), Vec::new())]);

    let mut tx = world.begin().await;
    for key in ["a", "empty", "never claimed"] {
        tx.object_claims().delete(PLACE, key).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(unfinished(&world).await, []);
    assert_eq!(claim(&world.db, PLACE, "a", b"again").await, ObjectClaim::New);
}

async fn of_claims_at_the_same_time_one_is_new(database: TestDatabase) {
    let world = Arc::new(World::on(database).await);
    let racers: Vec<_> = (0..8_u8)
        .map(|racer| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { (racer, claim(&world.db, PLACE, "race", &[racer]).await) })
        })
        .collect();
    let mut claims = Vec::new();
    for racer in racers {
        claims.push(racer.await.unwrap());
    }
    let won: Vec<u8> =
        claims.iter().filter(|(_, it)| *it == ObjectClaim::New).map(|(racer, _)| *racer).collect();
    let [winner] = won[..] else { panic!("{won:?} won") };
    for (racer, claim) in claims {
        assert!(racer == winner || claim == ObjectClaim::Open(vec![winner]), "{racer}: {claim:?}");
    }
}
