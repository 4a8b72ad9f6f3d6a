//! How full vaults were.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_db::MeasuredVault;
use cbr_model::Timestamp;
use cbr_model::custom_metric::{CustomMetric, CustomValue, MetricDimension};
use cbr_model::metric::{Filter, Metric, Width, measured, series};
use cbr_model::size::{Bytes, GIB, Gib};
use cbr_model::vault::Vault;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    what_users_publish_is_kept_once_until_it_expires,
    a_slot_is_kept_once_and_rolled_up_once,
    two_nodes_measure_a_slot_once,
    what_is_too_old_is_forgotten_in_pieces,
}

fn found(vault: &Vault, used: Bytes) -> MeasuredVault {
    let summaries = measured(used, vault.size);
    MeasuredVault { project: vault.project, vault: vault.id, summaries }
}

/// MON-02, MON-03: the first measurement of a vault and slot counts; its hour and day know it.
async fn a_slot_is_kept_once_and_rolled_up_once(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, other) = (world.stored_vault("v").await, world.stored_vault("w").await);
    let mut tx = world.begin().await;
    let due = tx.vault_points().due(96, None, 10).await.unwrap();
    assert_eq!(due.len(), 2);
    assert_eq!(tx.vault_points().due(96, Some(due[0].id), 10).await.unwrap(), [due[1].clone()]);
    assert_eq!(tx.vault_points().due(96, Some(due[1].id), 10).await.unwrap(), []);
    assert_eq!(tx.vault_points().record(95, &[]).await.unwrap(), BTreeSet::new());
    for (slot, gib) in [(96, 10), (97, 20), (97, 99), (100, 30)] {
        let firsts = tx.vault_points().record(slot, &[found(&vault, Gib(gib).bytes())]).await;
        assert_eq!(firsts.unwrap().contains(&vault.id), gib != 99, "{gib}");
    }
    let due = tx.vault_points().due(96, None, 10).await.unwrap();
    assert_eq!(due.iter().map(|vault| vault.id).collect::<Vec<_>>(), [other.id]);
    // Two together, of which one was measured in that slot already: the other's hour is its own.
    let both = [found(&vault, Gib(99).bytes()), found(&other, Gib(5).bytes())];
    assert_eq!(tx.vault_points().record(97, &both).await.unwrap(), [other.id].into());
    tx.commit().await.unwrap();

    let mut tx = world.read().await;
    let owner = (vault.project, vault.id);
    let mut of = async |width, range, filter| {
        let points = tx.vault_points().list(owner, width, range, 100).await.unwrap();
        let values = series(&points, Metric::UsedVaultSize, 1, filter);
        values.into_iter().map(|point| (point.begin, point.value)).collect::<Vec<_>>()
    };
    let slots = of(Width::Slot, (0, 1000), Filter::Max).await;
    assert_eq!(slots, [(86_400, 10.0), (87_300, 20.0), (90_000, 30.0)]);
    assert_eq!(of(Width::Slot, (97, 97), Filter::Max).await, [(87_300, 20.0)]);
    let hours = of(Width::Hour, (0, 1000), Filter::Average).await;
    assert_eq!(hours, [(86_400, 15.0), (90_000, 30.0)]);
    assert_eq!(of(Width::Day, (0, 1000), Filter::Sum).await, [(86_400, 60.0)]);
    let owner = (other.project, other.id);
    let points = tx.vault_points().list(owner, Width::Hour, (0, 1000), 100).await.unwrap();
    let values = series(&points, Metric::UsedVaultSize, 1, Filter::Sum);
    assert_eq!(values.iter().map(|it| (it.begin, it.value)).collect::<Vec<_>>(), [(86_400, 5.0)]);
    let owner = (world.id(), vault.id);
    let anothers = tx.vault_points().list(owner, Width::Slot, (0, 1000), 100).await.unwrap();
    assert!(anothers.is_empty(), "another project sees nothing");
}

/// MON-02: whoever measures, there is one row and one contribution to the hour.
async fn two_nodes_measure_a_slot_once(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let nodes = [1_u64, 2, 3, 4].map(|n| {
        let (db, vault) = (Arc::clone(&world.db), vault.clone());
        tokio::spawn(async move {
            let mut tx = db.begin().await.unwrap();
            let firsts = tx.vault_points().record(5, &[found(&vault, Bytes(n * GIB))]).await;
            tx.commit().await.unwrap();
            firsts.unwrap().contains(&vault.id)
        })
    });
    let mut firsts = 0;
    for node in nodes {
        firsts += u32::from(node.await.unwrap());
    }
    assert_eq!(firsts, 1);
    let mut tx = world.read().await;
    let owner = (vault.project, vault.id);
    let hour = tx.vault_points().list(owner, Width::Hour, (0, 10), 10).await.unwrap();
    let (sum, max) = (Filter::Sum, Filter::Max);
    let value = |filter| series(&hour, Metric::UsedVaultSize, 3600, filter)[0].value;
    assert!((value(sum) - value(max)).abs() < 1e-9, "one value");
}

async fn what_is_too_old_is_forgotten_in_pieces(database: TestDatabase) {
    let world = World::on(database).await;
    world.clock.set(Timestamp(0));
    let vault = world.stored_vault("v").await;
    let mut tx = world.begin().await;
    for slot in 0..10 {
        tx.vault_points().record(slot, &[found(&vault, Bytes(1))]).await.unwrap();
    }
    assert_eq!(tx.vault_points().forget(Width::Slot, 7, 4).await.unwrap(), 4);
    assert_eq!(tx.vault_points().forget(Width::Slot, 7, 4).await.unwrap(), 3);
    assert_eq!(tx.vault_points().forget(Width::Slot, 7, 4).await.unwrap(), 0);
    let owner = (vault.project, vault.id);
    assert_eq!(tx.vault_points().list(owner, Width::Slot, (0, 99), 99).await.unwrap().len(), 3);
    assert_eq!(tx.vault_points().list(owner, Width::Hour, (0, 99), 99).await.unwrap().len(), 3);
    tx.commit().await.unwrap();
}

/// Contract F.6: the same again replaces, whatever the order of dimensions; a metric goes with its last value.
async fn what_users_publish_is_kept_once_until_it_expires(database: TestDatabase) {
    let world = World::on(database).await;
    let dimension =
        |name: &str, value: &str| MetricDimension { name: name.into(), value: value.into() };
    let metric = |dimensions| CustomMetric::new("shop.orders".into(), "x".into(), dimensions);
    let (ab, ba) = (
        metric(vec![dimension("a", "1"), dimension("b", "2")]),
        metric(vec![dimension("b", "2"), dimension("a", "1")]),
    );
    let other = metric(vec![dimension("a", "1")]);
    let at = world.now();
    let value = |metric: &CustomMetric, value, ttl| CustomValue {
        metric: metric.clone(),
        unit: "GB".into(),
        at,
        value,
        ttl,
    };
    let mut tx = world.begin().await;
    for one in [value(&ab, 1.0, 60), value(&ba, 0.1, 120), value(&other, 7.0, 60)] {
        tx.custom_points().record(world.project, &one).await.unwrap();
    }
    let published = tx.custom_points().metrics(world.project, Some("shop.orders")).await.unwrap();
    assert_eq!(published.len(), 2);
    assert_eq!(tx.custom_points().count(world.project).await.unwrap(), 2);
    assert_eq!(tx.custom_points().count_of(world.project, &ab).await.unwrap(), 1);
    assert_eq!(tx.custom_points().metrics(world.id(), None).await.unwrap(), []);
    let listed = tx.custom_points().list(world.project, &ab, (at, at), 9).await.unwrap();
    assert_eq!(listed, [(at, 0.1)]);
    let stranger = tx.custom_points().list(world.id(), &ab, (at, at), 9).await.unwrap();
    assert_eq!(stranger, []);
    assert_eq!(tx.custom_points().forget(9).await.unwrap(), 0);
    tx.commit().await.unwrap();
    world.clock.advance(std::time::Duration::from_mins(1));
    let mut tx = world.begin().await;
    let gone = tx.custom_points().list(world.project, &other, (at, at), 9).await.unwrap();
    assert_eq!(gone, [], "before it is forgotten");
    // Nor does it take room.
    assert_eq!(tx.custom_points().count(world.project).await.unwrap(), 1);
    assert_eq!(tx.custom_points().count_of(world.project, &other).await.unwrap(), 0);
    assert_eq!(tx.custom_points().forget(9).await.unwrap(), 1);
    let left = tx.custom_points().metrics(world.project, None).await.unwrap();
    assert_eq!(left.iter().map(|one| &one.metric).collect::<Vec<_>>(), [&ab]);
    assert_eq!(tx.custom_points().find(world.project, &other).await.unwrap(), None);
    assert_eq!(tx.custom_points().find(world.project, &ba).await.unwrap().unwrap().unit, "GB");
}
