//! Vaults, tags, bindings.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::DbError;
use cbr_model::ProjectId;
use cbr_model::Timestamp;
use cbr_model::order::PeriodUnit;
use cbr_model::query::{Page, VaultFilter};
use cbr_model::resource::ProtectStatus;
use cbr_model::size::Gib;
use cbr_model::tag::Tag;
use cbr_model::vault::{Charging, ChargingMode, RESOURCES_MAX, VaultKind, VaultStatus};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_vault_comes_back_as_it_was,
    an_update_writes_what_people_can_change,
    a_status_changes_only_from_an_expected_one,
    a_resource_is_in_at_most_one_vault,
    vaults_are_found_by_each_filter,
    pages_follow_each_other_without_gap_or_overlap,
    the_limit_of_resources_holds_in_a_race,
    a_foreign_vault_looks_absent,
}

fn tag(key: &str) -> Tag {
    Tag { key: key.into(), value: format!("value of {key}") }
}

async fn a_vault_comes_back_as_it_was(database: TestDatabase) {
    let world = World::on(database).await;
    let mut vault = world.vault("v");
    vault.tags = vec![tag("z"), tag("a")];
    vault.bind_rules = vec![tag("b")];
    vault.resources = vec![world.resource("r2"), world.resource("r1")];
    let mut tx = world.begin().await;
    tx.vaults().insert(&vault).await.unwrap();
    tx.commit().await.unwrap();
    let found = world.read().await.vaults().find(world.project, vault.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&vault));

    let mut tx = world.begin().await;
    assert!(tx.vaults().delete(world.project, vault.id).await.unwrap());
    assert!(!tx.vaults().delete(world.project, vault.id).await.unwrap());
    assert_eq!(tx.bindings().find(vault.resources[0].id).await.unwrap(), None);
}

async fn an_update_writes_what_people_can_change(database: TestDatabase) {
    let world = World::on(database).await;
    let mut vault = world.stored_vault("v").await;
    vault.name = "new".to_owned().try_into().unwrap();
    vault.description = None;
    vault.size = Gib(5);
    vault.tags = vec![tag("x")];
    vault.threshold = 1;
    vault.auto_bind = true;
    vault.locked = true;
    vault.charging = Charging {
        mode: ChargingMode::PrePaid,
        order: Some(world.id()),
        demand_billing: true,
        frozen_scene: Some("POLICE".into()),
        paid_until: Some(Timestamp(77)),
        renew: Some(PeriodUnit::Year),
    };
    world.clock.advance(Duration::from_secs(1));
    let mut tx = world.begin().await;
    assert!(tx.vaults().update(&vault).await.unwrap());
    vault.updated_at = tx.now();
    assert_eq!(tx.vaults().find(world.project, vault.id).await.unwrap().as_ref(), Some(&vault));
    vault.id = world.id();
    assert!(!tx.vaults().update(&vault).await.unwrap());
}

async fn a_status_changes_only_from_an_expected_one(database: TestDatabase) {
    use VaultStatus::{Available, Deleting, Error};
    let world = World::on(database).await;
    let mut vault = world.vault("v");
    vault.resources = vec![world.resource("r")];
    let resource = vault.resources[0].id;
    let mut tx = world.begin().await;
    tx.vaults().insert(&vault).await.unwrap();
    let project = world.project;
    let mut vaults = tx.vaults();
    assert!(vaults.change_status(project, vault.id, &[Available, Error], Deleting).await.unwrap());
    assert!(!vaults.change_status(project, vault.id, &[Available, Error], Deleting).await.unwrap());
    let mut bindings = tx.bindings();
    let (from, to) = ([ProtectStatus::Available], ProtectStatus::Protecting);
    assert!(bindings.change_status(vault.id, resource, &from, to).await.unwrap());
    assert!(!bindings.change_status(vault.id, resource, &from, to).await.unwrap());
    let found = tx.vaults().find(project, vault.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.resources[0].protect_status), (Deleting, to));
}

/// RES-02.
async fn a_resource_is_in_at_most_one_vault(database: TestDatabase) {
    let world = World::on(database).await;
    let (first, second) = (world.stored_vault("a").await, world.stored_vault("b").await);
    let mut resource = world.resource("r");
    let mut tx = world.begin().await;
    tx.bindings().insert(first.id, &resource).await.unwrap();
    tx.commit().await.unwrap();
    let again = world.begin().await.bindings().insert(second.id, &resource).await;
    assert!(matches!(again, Err(DbError::Taken { .. })), "{again:?}");

    let mut tx = world.begin().await;
    resource.name = "renamed".into();
    resource.epoch = 3;
    resource.exclude_volumes.clear();
    assert!(tx.bindings().update(first.id, &resource).await.unwrap());
    assert!(!tx.bindings().update(second.id, &resource).await.unwrap());
    let binding = tx.bindings().find(resource.id).await.unwrap().unwrap();
    assert_eq!((binding.project, binding.vault), (world.project, first.id));
    assert_eq!(binding.resource, resource);
    assert_eq!(tx.bindings().list(&[world.id(), resource.id]).await.unwrap(), [binding]);
    assert_eq!(tx.bindings().list(&[]).await.unwrap(), []);
    assert!(!tx.bindings().delete(second.id, resource.id).await.unwrap());
    assert!(tx.bindings().delete(first.id, resource.id).await.unwrap());
    tx.bindings().insert(second.id, &resource).await.unwrap();
}

/// Contract C3.
async fn vaults_are_found_by_each_filter(database: TestDatabase) {
    let world = World::on(database).await;
    let mut wanted = world.vault("alpha-One");
    wanted.kind = VaultKind::Disk;
    wanted.status = VaultStatus::Error;
    wanted.enterprise_project = "ep".into();
    wanted.availability_zone = Some("az7".into());
    wanted.resources = vec![world.resource("r1"), world.resource("r2")];
    let mut other = world.vault("beta");
    other.resources = vec![world.resource("r3")];
    let mut tx = world.begin().await;
    tx.vaults().insert(&wanted).await.unwrap();
    tx.vaults().insert(&other).await.unwrap();
    let all = VaultFilter::default;
    let resources = wanted.resources.iter().map(|resource| resource.id).collect();
    let filters = [
        VaultFilter { ids: vec![wanted.id, world.id()], ..all() },
        VaultFilter { name: Some("a-O".into()), ..all() },
        VaultFilter { kinds: vec![VaultKind::Disk, VaultKind::File], ..all() },
        VaultFilter { statuses: vec![VaultStatus::Error, VaultStatus::Lock], ..all() },
        VaultFilter { resources, ..all() },
        VaultFilter { enterprise_projects: vec!["ep".into(), "x".into()], ..all() },
        VaultFilter { availability_zone: Some("az7".into()), ..all() },
    ];
    for filter in filters {
        let found = tx.vaults().list(world.project, &filter, &Page::default()).await.unwrap();
        assert_eq!((found.total, found.rows.len()), (1, 1), "{filter:?}");
        assert_eq!(found.rows[0].id, wanted.id, "{filter:?}");
    }
    for name in ["a-o", "%", "_"] {
        let filter = VaultFilter { name: Some(name.into()), ..all() };
        let found = tx.vaults().list(world.project, &filter, &Page::default()).await.unwrap();
        assert_eq!(found.total, 0, "names are compared letter by letter: {name}");
    }
    assert_eq!(tx.vaults().list(world.project, &all(), &Page::default()).await.unwrap().total, 2);
}

/// Contract A.4.
async fn pages_follow_each_other_without_gap_or_overlap(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let mut all = Vec::new();
    for i in 0..10_i64 {
        let mut vault = world.vault("v");
        // Two of each time: the id decides between them.
        vault.created_at.0 = i / 2;
        tx.vaults().insert(&vault).await.unwrap();
        all.push((vault.created_at, vault.id));
    }
    all.sort();
    all.reverse();
    let newest_first: Vec<_> = all.into_iter().map(|(_, id)| id).collect();
    let mut seen = Vec::new();
    let mut page = Page { limit: 3, ..Page::default() };
    loop {
        let listing =
            tx.vaults().list(world.project, &VaultFilter::default(), &page).await.unwrap();
        assert_eq!(listing.total, 10, "the count is the one without paging");
        let Some(last) = listing.rows.last() else { break };
        page.marker = Some(last.id.as_uuid());
        seen.extend(listing.rows.iter().map(|vault| vault.id));
    }
    assert_eq!(seen, newest_first);
    let page = Page { limit: 4, offset: 8, marker: None };
    let listing = tx.vaults().list(world.project, &VaultFilter::default(), &page).await.unwrap();
    assert_eq!(listing.rows.len(), 2);
    assert_eq!(listing.rows[0].id, newest_first[8]);
    let page = Page { marker: Some(world.project.as_uuid()), ..page };
    let unknown = tx.vaults().list(world.project, &VaultFilter::default(), &page).await;
    assert!(matches!(unknown, Err(DbError::UnknownMarker)));
}

/// RES-01, P17: who checks and writes in one write transaction cannot be overtaken.
async fn the_limit_of_resources_holds_in_a_race(database: TestDatabase) {
    let world = Arc::new(World::on(database).await);
    let vault = world.stored_vault("v").await;
    let mut tx = world.begin().await;
    for i in 0..RESOURCES_MAX - 5 {
        let mut resource = world.resource(&format!("r{i}"));
        resource.exclude_volumes.clear();
        tx.bindings().insert(vault.id, &resource).await.unwrap();
    }
    tx.commit().await.unwrap();
    let racers = (0..30).map(|i| {
        let (world, resource) = (Arc::clone(&world), world.resource(&format!("late{i}")));
        tokio::spawn(async move {
            let mut tx = world.begin().await;
            let found = tx.vaults().find(world.project, vault.id).await.unwrap().unwrap();
            if found.resources.len() < RESOURCES_MAX {
                tokio::task::yield_now().await;
                tx.bindings().insert(vault.id, &resource).await.unwrap();
                tx.commit().await.unwrap();
            }
        })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap();
    }
    let found = world.read().await.vaults().find(world.project, vault.id).await.unwrap().unwrap();
    assert_eq!(found.resources.len(), RESOURCES_MAX);
}

async fn a_foreign_vault_looks_absent(database: TestDatabase) {
    let world = World::on(database).await;
    let mut vault = world.stored_vault("v").await;
    let stranger: ProjectId = world.id();
    let mut tx = world.begin().await;
    assert_eq!(tx.vaults().find(stranger, vault.id).await.unwrap(), None);
    let filter = VaultFilter { ids: vec![vault.id], ..VaultFilter::default() };
    assert_eq!(tx.vaults().list(stranger, &filter, &Page::default()).await.unwrap().total, 0);
    let page = Page { marker: Some(vault.id.as_uuid()), ..Page::default() };
    let listed = tx.vaults().list(stranger, &VaultFilter::default(), &page).await;
    assert!(matches!(listed, Err(DbError::UnknownMarker)));
    let (from, to) = ([VaultStatus::Available], VaultStatus::Error);
    assert!(!tx.vaults().change_status(stranger, vault.id, &from, to).await.unwrap());
    assert!(!tx.vaults().delete(stranger, vault.id).await.unwrap());
    vault.project = stranger;
    assert!(!tx.vaults().update(&vault).await.unwrap());
}
