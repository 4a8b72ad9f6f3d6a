//! Backups, their disks, checkpoints, and what follows from them for vaults.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cbr_db::{BackupExtras, CountedSizes, DbError, DueDisk, Tx};
use cbr_model::backup::{AppConsistency, Backup, BackupState, Content};
use cbr_model::query::{BackupFilter, BackupSort, BackupSortKey, Page};
use cbr_model::resource::ResourceKind;
use cbr_model::size::{Bytes, GIB, Gib};
use cbr_model::{BackupId, ProjectId, Timestamp};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_server_backup_comes_back_with_its_disks_in_order,
    every_state_comes_back_as_it_was,
    sizes_are_due_after_each_change_and_found_for_any_number_of_backups,
    sizes_that_are_due_come_in_pages,
    an_update_holds_only_against_the_expected_status,
    usage_is_the_sum_over_the_backups,
    backups_are_found_by_each_filter,
    backups_are_sorted_by_each_key_and_paged_by_marker,
    a_search_counts_all_that_it_finds_however_many,
    others_have_their_turn_while_all_rows_are_read,
    keys_may_have_different_directions,
    a_vault_with_backups_cannot_vanish,
    the_stored_disks_are_those_with_content,
}

/// A server's backup with two disks, not inserted.
async fn server_backup(world: &World) -> Backup {
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let server = world.id();
    let mut parent = world.backup(vault.id, checkpoint.id, server, "parent");
    parent.resource_kind = ResourceKind::Server;
    for name in ["disk-b", "disk-a"] {
        let mut child = world.backup(vault.id, checkpoint.id, world.id(), name);
        child.parent = Some(parent.id);
        parent.children.push(child);
    }
    parent
}

async fn a_server_backup_comes_back_with_its_disks_in_order(database: TestDatabase) {
    let world = World::on(database).await;
    let mut backup = server_backup(&world).await;
    let mut late = world.backup(backup.vault, backup.checkpoint, world.id(), "late");
    late.parent = Some(backup.id);
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    tx.backups().insert(&late).await.unwrap();
    backup.children.push(late.clone());
    assert_eq!(tx.backups().find(world.project, backup.id).await.unwrap().as_ref(), Some(&backup));
    assert_eq!(tx.backups().find(world.project, late.id).await.unwrap().as_ref(), Some(&late));
    assert_eq!(tx.backups().find(world.id(), backup.id).await.unwrap(), None);

    assert!(!tx.backups().delete(world.project, backup.id, "deleting").await.unwrap());
    assert!(!tx.checkpoints().delete_if_empty(world.project, backup.checkpoint).await.unwrap());
    assert!(tx.backups().delete(world.project, backup.id, "protecting").await.unwrap());
    assert_eq!(tx.backups().find(world.project, late.id).await.unwrap(), None, "disks go along");
    let checkpoint = tx.checkpoints().find(world.project, backup.checkpoint).await.unwrap();
    assert_eq!(checkpoint.map(|found| found.vault), Some(backup.vault));
    assert!(tx.checkpoints().delete_if_empty(world.project, backup.checkpoint).await.unwrap());
    assert_eq!(tx.checkpoints().find(world.project, backup.checkpoint).await.unwrap(), None);
}

async fn every_state_comes_back_as_it_was(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let states = [
        BackupState::Protecting,
        BackupState::Available { content: world.disk(7) },
        BackupState::Restoring { content: Content::Server },
        BackupState::Deleting { content: None },
        BackupState::Deleting { content: Some(world.disk(8)) },
        BackupState::Error { reason: "no room".into(), content: None },
        BackupState::Error { reason: "store away".into(), content: Some(world.disk(9)) },
    ];
    let mut tx = world.begin().await;
    for state in states {
        let mut backup = world.backup(vault.id, checkpoint.id, world.id(), "b");
        backup.state = state;
        backup.protected_at = Some(Timestamp(77));
        backup.expired_at = Some(Timestamp(-1));
        tx.backups().insert(&backup).await.unwrap();
        assert_eq!(tx.backups().find(world.project, backup.id).await.unwrap(), Some(backup));
    }
}

async fn an_update_holds_only_against_the_expected_status(database: TestDatabase) {
    let world = World::on(database).await;
    let mut backup = server_backup(&world).await;
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_secs(9));
    let mut tx = world.begin().await;
    backup.state = BackupState::Available { content: Content::Server };
    backup.name = "renamed".to_owned().try_into().unwrap();
    backup.protected_at = Some(tx.now());
    backup.resource_size = Gib(11);
    backup.incremental = true;
    assert!(!tx.backups().update(&backup, "available").await.unwrap());
    assert!(tx.backups().update(&backup, "protecting").await.unwrap());
    assert!(!tx.backups().update(&backup, "protecting").await.unwrap());
    backup.updated_at = tx.now();
    let fell_back =
        AppConsistency::FellBack { code: "BackupService.7410".into(), message: "why".into() };
    for what in [fell_back, AppConsistency::Reached] {
        assert!(tx.backups().set_app_consistency(backup.id, &what).await.unwrap());
        backup.app_consistency = Some(what);
        let found = tx.backups().find(world.project, backup.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&backup), "VLT-09, BAK-57; an update leaves it as it is");
    }
    assert!(!tx.backups().set_app_consistency(world.id(), &AppConsistency::Reached).await.unwrap());
    assert_eq!(tx.backups().find(world.project, backup.id).await.unwrap(), Some(backup));
}

/// P17, BAK-31: what a vault uses is counted from its backups, disks of servers
/// count for the server, and what is being deleted counts until it is gone.
async fn usage_is_the_sum_over_the_backups(database: TestDatabase) {
    let world = World::on(database).await;
    let mut vault = world.vault("v");
    let (server, disk) = (world.resource("server"), world.resource("disk"));
    vault.resources = vec![server.clone(), disk.clone()];
    let mut tx = world.begin().await;
    tx.vaults().insert(&vault).await.unwrap();
    tx.commit().await.unwrap();
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let make = |resource, name: &str, state| {
        let mut backup = world.backup(vault.id, checkpoint.id, resource, name);
        backup.state = state;
        backup
    };
    let available = |bytes| BackupState::Available { content: world.disk(bytes) };
    let mut parent = make(server.id, "s", BackupState::Available { content: Content::Server });
    for bytes in [3, 4] {
        let mut child = make(world.id(), "c", available(bytes));
        child.parent = Some(parent.id);
        parent.children.push(child);
    }
    let deleting = BackupState::Deleting { content: Some(world.disk(20)) };
    let failed = BackupState::Error { reason: "x".into(), content: None };
    let stray = make(world.id(), "gone", available(100));
    let mut tx = world.begin().await;
    for backup in [
        parent,
        make(disk.id, "d1", deleting.clone()),
        make(disk.id, "d2", failed),
        make(disk.id, "d3", BackupState::Protecting),
        stray,
    ] {
        tx.backups().insert(&backup).await.unwrap();
    }
    let found = tx.vaults().find(world.project, vault.id).await.unwrap().unwrap();
    assert_eq!(found.used, Bytes(127));
    let usage: Vec<_> = found.resources.iter().map(|r| (r.backup_bytes, r.backup_count)).collect();
    assert_eq!(usage, [(Bytes(7), 1), (Bytes(20), 3)]);
    let binding = tx.bindings().find(server.id).await.unwrap().unwrap();
    assert_eq!(binding.resource.backup_bytes, Bytes(7));
}

/// Contract C27.
async fn backups_are_found_by_each_filter(database: TestDatabase) {
    let world = World::on(database).await;
    let other = server_backup(&world).await;
    let mut vault = world.vault("small");
    vault.size = Gib(1);
    let mut tx = world.begin().await;
    tx.backups().insert(&other).await.unwrap();
    tx.vaults().insert(&vault).await.unwrap();
    tx.commit().await.unwrap();
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut wanted = world.backup(vault.id, checkpoint.id, world.id(), "Wanted");
    wanted.state = BackupState::Available { content: world.disk(GIB / 2) };
    wanted.resource_az = "az9".into();
    wanted.incremental = true;
    wanted.created_at = Timestamp(50);
    let mut tx = world.begin().await;
    tx.backups().insert(&wanted).await.unwrap();
    let all = BackupFilter::default;
    let one = [
        BackupFilter { ids: vec![wanted.id], ..all() },
        BackupFilter { checkpoint: Some(checkpoint.id), ..all() },
        BackupFilter { vault: Some(vault.id), ..all() },
        BackupFilter { name: Some("ante".into()), ..all() },
        BackupFilter { resource: Some(wanted.resource), ..all() },
        BackupFilter { resource_name: Some("of-Wanted".into()), ..all() },
        BackupFilter { resource_kind: Some(ResourceKind::Volume), ..all() },
        BackupFilter { resource_az: Some("az9".into()), ..all() },
        BackupFilter { statuses: vec!["available".into(), "error".into()], ..all() },
        BackupFilter { incremental: Some(true), ..all() },
        BackupFilter { created_from: Some(Timestamp(50)), ..all() },
        BackupFilter { vault_used_percent: Some(50), ..all() },
    ];
    for filter in one {
        let found = tx.backups().list(world.project, &filter, &Page::default()).await.unwrap();
        let ids: Vec<_> = found.rows.iter().map(|backup| backup.id).collect();
        assert_eq!((found.total, ids.as_slice()), (1, &[wanted.id][..]), "{filter:?}");
    }
    let table = [
        (all(), 2),
        (BackupFilter { parent: Some(other.id), ..all() }, 2),
        (BackupFilter { created_until: Some(Timestamp(49)), ..all() }, 1),
        (BackupFilter { vault_used_percent: Some(51), ..all() }, 0),
        (BackupFilter { incremental: Some(false), ..all() }, 1),
    ];
    for (filter, total) in table {
        let found = tx.backups().list(world.project, &filter, &Page::default()).await.unwrap();
        assert_eq!(found.total, total, "{filter:?}");
        let foreign = tx.backups().list(world.id(), &filter, &Page::default()).await.unwrap();
        assert_eq!(foreign.total, 0, "{filter:?} for a stranger");
    }
}

/// Contract A.4: each key in each direction, walked in pages of two by marker.
async fn backups_are_sorted_by_each_key_and_paged_by_marker(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut all = Vec::new();
    let mut tx = world.begin().await;
    for (i, name) in (0_i64..).zip(["b", "B", "_", "a", "a", "长"]) {
        let mut backup = world.backup(vault.id, checkpoint.id, world.id(), name);
        backup.created_at = Timestamp(i % 3);
        backup.updated_at = Timestamp(i % 2);
        backup.protected_at = (i > 2).then_some(Timestamp(i));
        if i % 2 == 0 {
            backup.state = BackupState::Available { content: world.disk(1) };
        }
        tx.backups().insert(&backup).await.unwrap();
        all.push(backup);
    }
    for key in [
        BackupSortKey::CreatedAt,
        BackupSortKey::UpdatedAt,
        BackupSortKey::Name,
        BackupSortKey::Status,
        BackupSortKey::ProtectedAt,
        BackupSortKey::Id,
    ] {
        for ascending in [true, false] {
            let sort = vec![
                BackupSort { key, ascending },
                BackupSort { key: BackupSortKey::Name, ascending },
                BackupSort { key, ascending: !ascending },
            ];
            all.sort_by_key(|b| (sort_value(key, b), b.name.as_str().to_owned(), b.id.to_string()));
            if !ascending {
                all.reverse();
            }
            let filter = BackupFilter { sort, ..BackupFilter::default() };
            let walked = walk(&mut tx, world.project, &filter).await;
            let expected: Vec<_> = all.iter().map(|backup| backup.id).collect();
            assert_eq!(walked, expected, "{key:?} {ascending}");
        }
    }
}

/// Contract A.4: `sort=status:asc,created_at:desc`.
async fn keys_may_have_different_directions(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut tx = world.begin().await;
    let mut all = Vec::new();
    for i in 0..9_i64 {
        let mut backup = world.backup(vault.id, checkpoint.id, world.id(), "b");
        backup.created_at = Timestamp(i / 2);
        if i % 3 == 0 {
            backup.state = BackupState::Available { content: world.disk(1) };
        }
        tx.backups().insert(&backup).await.unwrap();
        all.push(backup);
    }
    let sort = vec![
        BackupSort { key: BackupSortKey::Status, ascending: true },
        BackupSort { key: BackupSortKey::CreatedAt, ascending: false },
    ];
    all.sort_by_key(|b| (b.state.as_str(), -b.created_at.0, std::cmp::Reverse(b.id.to_string())));
    let filter = BackupFilter { sort, ..BackupFilter::default() };
    let walked = walk(&mut tx, world.project, &filter).await;
    assert_eq!(walked, all.iter().map(|backup| backup.id).collect::<Vec<_>>());
}

fn sort_value(key: BackupSortKey, backup: &Backup) -> (i64, String) {
    match key {
        BackupSortKey::CreatedAt => (backup.created_at.0, String::new()),
        BackupSortKey::UpdatedAt => (backup.updated_at.0, String::new()),
        BackupSortKey::ProtectedAt => (backup.protected_at.map_or(0, |at| at.0), String::new()),
        BackupSortKey::Name => (0, backup.name.as_str().to_owned()),
        BackupSortKey::Status => (0, backup.state.as_str().to_owned()),
        BackupSortKey::Id => (0, backup.id.to_string()),
    }
}

async fn walk(
    tx: &mut cbr_db::Tx,
    project: ProjectId,
    filter: &BackupFilter,
) -> Vec<cbr_model::BackupId> {
    let mut page = Page { limit: 2, ..Page::default() };
    let mut ids = Vec::new();
    loop {
        let listing = tx.backups().list(project, filter, &page).await.unwrap();
        let Some(last) = listing.rows.last() else { return ids };
        page.marker = Some(last.id.as_uuid());
        ids.extend(listing.rows.iter().map(|backup| backup.id));
    }
}

async fn a_vault_with_backups_cannot_vanish(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = server_backup(&world).await;
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    let refused = tx.vaults().delete(world.project, backup.vault).await;
    assert!(matches!(refused, Err(DbError::StillReferenced { .. })), "{refused:?}");
}

async fn the_stored_disks_are_those_with_content(database: TestDatabase) {
    let world = World::on(database).await;
    let mut backup = server_backup(&world).await;
    let content = world.disk(5);
    backup.state = BackupState::Available { content: Content::Server };
    backup.children[1].state = BackupState::Deleting { content: Some(content.clone()) };
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    let disks = tx.backups().stored_disks().await.unwrap();
    assert_eq!(disks.len(), 1);
    assert_eq!(disks[0].backup, backup.children[1].id);
    assert_eq!(Content::Disk(disks[0].version.clone()), content);
}

async fn due_disks(tx: &mut Tx) -> Vec<DueDisk> {
    let due = tx.backup_sizes().due(None, 10).await.unwrap();
    assert_eq!(due.next, None);
    due.disks.into_iter().collect()
}

/// VLT-85: what is due is looked at page by page, so what cannot be counted is in nobody's way.
async fn sizes_that_are_due_come_in_pages(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let disk = world.id();
    let mut tx = world.begin().await;
    let mut disks = BTreeSet::new();
    for resource in [disk, disk, world.id(), world.id(), world.id()] {
        let mut backup = world.backup(vault.id, checkpoint.id, resource, "b");
        backup.state = BackupState::Available { content: world.disk(7) };
        disks.insert(backup.resource);
        tx.backups().insert(&backup).await.unwrap();
    }
    assert_eq!(disks.len(), 4);
    let (mut after, mut pages, mut seen) = (None, 0, BTreeSet::new());
    loop {
        let due = tx.backup_sizes().due(after, 2).await.unwrap();
        assert!(due.disks.len() <= 2);
        assert!(pages < 10, "the pages do not end");
        seen.extend(due.disks.iter().map(|disk| disk.resource));
        (pages, after) = (pages + 1, due.next);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (3, disks));
}

/// VLT-85: what is due is what has changed since it was counted.
async fn sizes_are_due_after_each_change_and_found_for_any_number_of_backups(
    database: TestDatabase,
) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut backup = world.backup(vault.id, checkpoint.id, world.id(), "b");
    backup.state = BackupState::Protecting;
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    assert_eq!(due_disks(&mut tx).await, []);
    backup.state = BackupState::Available { content: world.disk(7) };
    assert!(tx.backups().update(&backup, "protecting").await.unwrap());
    let due = due_disks(&mut tx).await;
    assert_eq!((due.len(), due[0].resource), (1, backup.resource));
    let rows = tx.backup_sizes().of_disk(due[0]).await.unwrap();
    let sizes = CountedSizes { unique: Some(Bytes(5)), ..CountedSizes::default() };
    tx.backup_sizes().set(backup.id, rows[0].changes, sizes).await.unwrap();
    assert_eq!(due_disks(&mut tx).await, []);
    let mut ids: Vec<BackupId> = (0..40_000).map(|_| world.id()).collect();
    ids.push(backup.id);
    let known = BackupExtras { sizes, ..BackupExtras::default() };
    let found = tx.backups().extras(world.project, &ids).await.unwrap();
    assert_eq!(found, [(backup.id, known)].into());
    assert_eq!(tx.backups().extras(world.id(), &ids).await.unwrap().len(), 0, "another project");
    // A restore changes nothing; what was counted of an older change does not count.
    backup.state = BackupState::Restoring { content: world.disk(7) };
    assert!(tx.backups().update(&backup, "available").await.unwrap());
    assert_eq!(due_disks(&mut tx).await, []);
    backup.state = BackupState::Deleting { content: Some(world.disk(7)) };
    assert!(tx.backups().update(&backup, "available").await.is_ok_and(|changed| !changed));
    backup.state = BackupState::Available { content: world.disk(7) };
    assert!(tx.backups().update(&backup, "restoring").await.unwrap());
    backup.state = BackupState::Deleting { content: Some(world.disk(7)) };
    assert!(tx.backups().update(&backup, "available").await.unwrap());
    tx.backup_sizes().set(backup.id, rows[0].changes, sizes).await.unwrap();
    assert_eq!(due_disks(&mut tx).await.len(), 1);
    let found = tx.backups().extras(world.project, &[backup.id]).await.unwrap();
    assert_eq!(found, [(backup.id, BackupExtras::default())].into());
}

/// Contract A.4, C27: few are found by one look at all names, very many by counting them; the number and the pages
/// are the same.
async fn a_search_counts_all_that_it_finds_however_many(database: TestDatabase) {
    const MANY: u32 = 1001;
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let run = world.stored_checkpoint(vault.id).await;
    let mut tx = world.begin().await;
    let mut ids = Vec::new();
    for n in 0..MANY {
        let mut backup = world.backup(vault.id, run.id, world.id(), &format!("many-{n}"));
        backup.created_at = Timestamp(n.into());
        tx.backups().insert(&backup).await.unwrap();
        ids.push(backup.id);
    }
    let mut find = async |name: &str, page: Page| {
        let filter = BackupFilter { name: Some(name.into()), ..BackupFilter::default() };
        let found = tx.backups().list(world.project, &filter, &page).await?;
        Ok::<_, DbError>((found.rows.iter().map(|one| one.id).collect::<Vec<_>>(), found.total))
    };
    let at = |n: usize| ids[n];
    let page = |offset, marker: Option<BackupId>| Page {
        limit: 2,
        offset,
        marker: marker.map(|id| id.as_uuid()),
    };
    assert_eq!(find("many", page(0, None)).await.unwrap(), (vec![at(1000), at(999)], 1001));
    let behind = page(0, Some(at(1)));
    assert_eq!(find("many", behind).await.unwrap(), (vec![at(0)], 1001));
    assert_eq!(find("many-77", page(0, None)).await.unwrap(), (vec![at(779), at(778)], 11));
    let behind = page(0, Some(at(770)));
    assert_eq!(find("many-77", behind).await.unwrap(), (vec![at(77)], 11));
    assert_eq!(find("many-77", page(10, None)).await.unwrap(), (vec![at(77)], 11));
    assert_eq!(find("none", page(0, None)).await.unwrap(), (vec![], 0));
    assert_eq!(find("none", page(0, Some(at(5)))).await.unwrap(), (vec![], 0));
    let nobody = find("none", page(0, Some(world.id()))).await;
    assert!(matches!(nobody, Err(DbError::UnknownMarker)), "{nobody:?}");
}

/// Contract A.4 (lists are quick): what reads every row, of which there may be a million, keeps no request waiting
/// that shares its thread.
async fn others_have_their_turn_while_all_rows_are_read(database: TestDatabase) {
    const ROWS: usize = 2000;
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let run = world.stored_checkpoint(vault.id).await;
    let mut tx = world.begin().await;
    for n in 0..ROWS {
        let mut backup = world.backup(vault.id, run.id, world.id(), &format!("b-{n}"));
        backup.state = BackupState::Available { content: world.disk(7) };
        tx.backups().insert(&backup).await.unwrap();
    }
    tx.commit().await.unwrap();
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let (mut rows, mut without, mut longest, mut seen) = (0, 0, 0, 0);
    let mut tx = world.read().await;
    let each = |_| {
        let now = turns.load(Ordering::Relaxed);
        without = if now == seen { without + 1 } else { 0 };
        (rows, longest, seen) = (rows + 1, longest.max(without), now);
    };
    tx.backups().each_stored_disk(each).await.unwrap();
    other.abort();
    assert_eq!(rows, ROWS);
    assert!(longest <= 256, "{longest} rows without a turn of anybody else");
}
