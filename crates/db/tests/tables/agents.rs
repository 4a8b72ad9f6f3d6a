//! Agents and their directories.

use cbr_model::Timestamp;
use cbr_model::agent::{Agent, AgentKind, AgentPath, AgentStatus, SILENCE_SECONDS};
use cbr_model::query::{AgentFilter, Page};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    an_agent_comes_back_with_its_directories_in_order,
    agents_are_found_by_the_status_they_have_now,
}

fn agent(world: &World, seen: Timestamp) -> Agent {
    Agent {
        id: world.id(),
        project: world.project,
        kind: AgentKind::Cloud,
        version: Some("1.2.3".into()),
        host_ip: "192.0.2.7".into(),
        host_name: "host".into(),
        host_nickname: String::new(),
        host_os: "Linux".into(),
        uninstalled: false,
        paths: vec![],
        created_at: Timestamp(5),
        last_active_at: seen,
        updated_at: seen,
    }
}

async fn an_agent_comes_back_with_its_directories_in_order(database: TestDatabase) {
    let world = World::on(database).await;
    let mut wanted = agent(&world, Timestamp(9));
    let mut tx = world.begin().await;
    tx.agents().insert(&wanted).await.unwrap();
    for name in ["/b", "/a", "/c"] {
        let path = AgentPath { id: world.id(), path: name.into(), exclude: vec!["x".into()] };
        tx.agents().add_path(wanted.id, &path).await.unwrap();
        wanted.paths.push(path);
    }
    assert_eq!(tx.agents().find(world.project, wanted.id).await.unwrap(), Some(wanted.clone()));
    assert_eq!(tx.agents().find(world.id(), wanted.id).await.unwrap(), None, "another project");
    assert!(tx.agents().remove_path(wanted.id, "/a").await.unwrap());
    assert!(!tx.agents().remove_path(wanted.id, "/a").await.unwrap());
    wanted.paths.remove(1);
    let again = AgentPath { id: world.id(), path: "/a".into(), exclude: vec![] };
    tx.agents().add_path(wanted.id, &again).await.unwrap();
    wanted.paths.push(again);
    let changed = Agent { version: None, uninstalled: true, ..wanted };
    assert!(tx.agents().update(&changed).await.unwrap());
    assert_eq!(tx.agents().find(world.project, changed.id).await.unwrap(), Some(changed.clone()));
    tx.commit().await.unwrap();

    let mut tx = world.begin().await;
    let theirs = Agent { project: world.id(), ..changed.clone() };
    let taken = tx.agents().insert(&theirs).await.unwrap_err();
    assert!(matches!(taken, cbr_db::DbError::Taken { .. }), "{taken:?}");
    drop(tx);
    let mut tx = world.begin().await;
    assert!(!tx.agents().update(&theirs).await.unwrap(), "not theirs");
    assert!(!tx.agents().delete(theirs.project, changed.id).await.unwrap());
    assert!(tx.agents().delete(world.project, changed.id).await.unwrap());
    assert_eq!(tx.agents().find(world.project, changed.id).await.unwrap(), None);
}

/// FIL-26: the query says what `Agent::status` says.
async fn agents_are_found_by_the_status_they_have_now(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let now = tx.now();
    let seen = [0, -SILENCE_SECONDS, -SILENCE_SECONDS - 1, 0];
    let mut agents = seen.map(|ago| agent(&world, now.plus_seconds(ago)));
    agents[3].uninstalled = true;
    for agent in &agents {
        tx.agents().insert(agent).await.unwrap();
    }
    let all = [AgentStatus::Normal, AgentStatus::Abnormal, AgentStatus::Uninstall];
    for statuses in [vec![], vec![all[0]], vec![all[1]], vec![all[2]], vec![all[0], all[2]]] {
        let is_meant =
            |agent: &&Agent| statuses.is_empty() || statuses.contains(&agent.status(now));
        let mut wanted: Vec<_> = agents.iter().filter(is_meant).map(|agent| agent.id).collect();
        wanted.sort();
        wanted.reverse();
        let filter = AgentFilter { statuses: statuses.clone(), ..AgentFilter::default() };
        let found = tx.agents().list(world.project, &filter, &Page::default()).await.unwrap();
        let ids: Vec<_> = found.rows.iter().map(|agent| agent.id).collect();
        assert_eq!((ids, found.total), (wanted.clone(), wanted.len() as u64), "{statuses:?}");
    }
    let filter = AgentFilter { ids: vec![agents[1].id], ..AgentFilter::default() };
    let one = Page { limit: 1, ..Page::default() };
    let found = tx.agents().list(world.project, &filter, &one).await.unwrap();
    assert_eq!(found.rows, [agents[1].clone()]);
}
