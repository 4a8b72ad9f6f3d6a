//! Nodes, and what waits for them.

use std::time::Duration;

use cbr_db::{Moved, NodeRecord};
use cbr_model::operation::OperationStatus;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    nodes_are_known_by_their_signs_and_by_what_waits_for_them,
    what_waits_for_a_node_goes_to_another,
}

fn node(name: &str, seen_at: Option<i64>, tasks: u64) -> NodeRecord {
    let seen_at = seen_at.map(cbr_model::Timestamp);
    NodeRecord { name: name.to_owned(), seen_at, tasks, exports: 0 }
}

async fn nodes_are_known_by_their_signs_and_by_what_waits_for_them(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    tx.nodes().note("b").await.unwrap();
    for name in [Some("a"), Some("a"), None] {
        let mut task = world.task();
        task.node = name.map(str::to_owned);
        tx.tasks().insert(&task).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let mut tx = world.begin().await;
    tx.nodes().note("b").await.unwrap();
    assert_eq!(
        tx.nodes().list().await.unwrap(),
        [node("a", None, 2), node("b", Some(2_000_000), 0)]
    );
}

/// P14: also from a node that is alive after all.
async fn what_waits_for_a_node_goes_to_another(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut task = world.task();
    task.node = Some("a".to_owned());
    tx.tasks().insert(&task).await.unwrap();
    tx.nodes().note("a").await.unwrap();
    let lease_until = tx.now().plus_seconds(30);
    let claim = |node| cbr_db::Claim { node, kinds: &["toy"], lease_until };
    let at_a = tx.tasks().claim(&claim("a")).await.unwrap().unwrap();
    assert_eq!(tx.tasks().claim(&claim("b")).await.unwrap(), None);
    let moved = tx.nodes().take_over("a", "b").await.unwrap();
    assert_eq!(moved, Moved { tasks: 1, exports: 0 });
    assert_eq!(tx.nodes().list().await.unwrap(), [node("b", None, 1)]);
    // The old worker neither renews its lease nor saves anything.
    let renewed = tx.tasks().renew(at_a.id, at_a.fencing, 1, lease_until).await.unwrap();
    assert_eq!(renewed, None);
    let success = OperationStatus::Success;
    assert!(!tx.tasks().end(at_a.id, at_a.fencing, "{}", success, None).await.unwrap());
    assert_eq!(tx.tasks().claim(&claim("a")).await.unwrap(), None);
    let at_b = tx.tasks().claim(&claim("b")).await.unwrap().unwrap();
    assert_eq!((at_b.id, at_b.fencing), (at_a.id, at_a.fencing + 2));
    assert_eq!(tx.nodes().take_over("a", "b").await.unwrap(), Moved { tasks: 0, exports: 0 });
}
