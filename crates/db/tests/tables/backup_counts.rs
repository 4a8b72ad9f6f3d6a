//! What the database counts with every change of a backup is what is there (P17).

use cbr_db::{DbError, Move};
use cbr_model::BackupId;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::query::{BackupFilter, BackupSort, BackupSortKey, Page};
use cbr_model::resource::ResourceKind;
use cbr_model::vault::Vault;
use cbr_testkit::{TestDatabase, on_both_engines};
use sqlx::{Executor as _, Row as _};

use crate::builders::World;
use crate::opening::raw;

on_both_engines! {
    counts_follow_every_change,
    a_count_out_of_step_fails_the_change,
    what_was_there_before_is_counted_by_the_migration,
    a_page_far_back_begins_at_its_day,
    a_part_of_a_name_is_that_text,
}

/// Nothing differs.
async fn check(world: &World, step: &str) {
    assert_eq!(world.read().await.backup_counts().differing().await.unwrap(), 0, "{step}");
}

/// A server's backup with two disks.
fn server_backup(world: &World, vault: &Vault, run: cbr_model::CheckpointId) -> Backup {
    let server = vault.resources[0].id;
    let mut parent = world.backup(vault.id, run, server, "parent");
    parent.resource_kind = ResourceKind::Server;
    for bytes in [7, 8] {
        let mut child = world.backup(vault.id, run, world.id(), "disk");
        child.parent = Some(parent.id);
        child.state = BackupState::Available { content: world.disk(bytes) };
        parent.children.push(child);
    }
    parent
}

async fn two_vaults(world: &World) -> (Vault, Vault) {
    let mut vault = world.vault("v");
    vault.resources = vec![world.resource("server"), world.resource("disk")];
    let mut tx = world.begin().await;
    tx.vaults().insert(&vault).await.unwrap();
    tx.commit().await.unwrap();
    (vault, world.stored_vault("other").await)
}

/// P17, VLT 3.x: what is made, ends, fails, moves, is deleted with its disks, goes to the trash and comes back.
async fn counts_follow_every_change(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, other) = two_vaults(&world).await;
    let run = world.stored_checkpoint(vault.id).await;
    let disk = vault.resources[1].id;
    let server = server_backup(&world, &vault, run.id);
    let mut alone = world.backup(vault.id, run.id, disk, "alone");
    let project = world.project;

    let mut tx = world.begin().await;
    tx.backups().insert(&server).await.unwrap();
    tx.backups().insert(&alone).await.unwrap();
    tx.commit().await.unwrap();
    check(&world, "made").await;

    let mut tx = world.begin().await;
    alone.state = BackupState::Available { content: world.disk(9) };
    assert!(tx.backups().update(&alone, "protecting").await.unwrap());
    alone.name = "renamed".to_owned().try_into().unwrap();
    assert!(tx.backups().update(&alone, "available").await.unwrap());
    tx.commit().await.unwrap();
    check(&world, "ended").await;
    assert_eq!(total(&world, &[], None).await, 2);
    assert_eq!(total(&world, &["available"], None).await, 1);
    assert_eq!(total(&world, &["available", "error"], Some(&other)).await, 0);

    let wanted = Move { resource: vault.resources[0].id, from: vault.id, to: other.id };
    let mut tx = world.begin().await;
    tx.migration().apply(wanted, &vault.resources[0], || world.id()).await.unwrap();
    tx.commit().await.unwrap();
    check(&world, "moved").await;
    assert_eq!(total(&world, &[], Some(&other)).await, 1);

    let mut tx = world.begin().await;
    alone.state = BackupState::Deleting { content: Some(world.disk(9)) };
    assert!(tx.backups().update(&alone, "available").await.unwrap());
    assert!(tx.trash().put(project, alone.id).await.unwrap());
    tx.commit().await.unwrap();
    check(&world, "in the trash").await;
    let mut tx = world.begin().await;
    assert!(tx.trash().take_back(project, alone.id, vault.id).await.unwrap());
    tx.commit().await.unwrap();
    check(&world, "taken back").await;

    let mut tx = world.begin().await;
    assert!(tx.backups().delete(project, server.id, "protecting").await.unwrap());
    assert!(tx.backups().delete(project, alone.id, "available").await.unwrap());
    tx.rollback().await.unwrap();
    check(&world, "nothing happened").await;
    let mut tx = world.begin().await;
    assert!(tx.backups().delete(project, server.id, "protecting").await.unwrap());
    assert!(tx.backups().delete(project, alone.id, "available").await.unwrap());
    tx.commit().await.unwrap();
    check(&world, "deleted with its disks").await;
    assert_eq!(rows(&world).await, 0, "no rows of nothing are left");
}

/// The number that a page says, against the one of a filter that has to look at every backup.
async fn total(world: &World, statuses: &[&str], vault: Option<&Vault>) -> u64 {
    let filter = BackupFilter {
        statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
        vault: vault.map(|vault| vault.id),
        ..BackupFilter::default()
    };
    let looking = BackupFilter { created_from: Some(cbr_model::Timestamp(0)), ..filter.clone() };
    let page = Page { limit: 1, offset: 0, marker: None };
    let mut tx = world.read().await;
    let counted = tx.backups().list(world.project, &filter, &page).await.unwrap().total;
    let seen = tx.backups().list(world.project, &looking, &page).await.unwrap().total;
    assert_eq!(counted, seen, "{filter:?}");
    counted
}

async fn rows(world: &World) -> i64 {
    let pool = raw(world.database()).await;
    let row = pool.fetch_one("SELECT COUNT(*) FROM backup_counts").await.unwrap();
    pool.close().await;
    row.get(0)
}

/// Counts that somebody changed by hand do not go on silently.
async fn a_count_out_of_step_fails_the_change(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = world.stored_backup().await;
    world.by_hand("UPDATE backup_counts SET backups = 0, entries = 0, bytes = 0".into()).await;
    let mut tx = world.begin().await;
    let refused = tx.backups().delete(world.project, backup.id, "protecting").await;
    assert!(matches!(refused, Err(DbError::Internal { .. })), "{refused:?}");
    tx.rollback().await.unwrap();

    let mut tx = world.begin().await;
    assert_eq!(tx.backup_counts().differing().await.unwrap(), 1);
    tx.backup_counts().recount().await.unwrap();
    assert_eq!(tx.backup_counts().differing().await.unwrap(), 0);
    assert!(tx.backups().delete(world.project, backup.id, "protecting").await.unwrap());
    tx.commit().await.unwrap();
    world
        .by_hand("INSERT INTO backup_counts VALUES ('v', 'r', 'error', 'p', 'k', 1, 1, 1)".into())
        .await;
    assert_eq!(world.read().await.backup_counts().differing().await.unwrap(), 1);
}

/// P18: a database of before has backups already.
async fn what_was_there_before_is_counted_by_the_migration(database: TestDatabase) {
    let is_sqlite = database.path().is_some();
    let world = World::on(database).await;
    let (vault, _) = two_vaults(&world).await;
    let run = world.stored_checkpoint(vault.id).await;
    let server = server_backup(&world, &vault, run.id);
    let mut ids: Vec<BackupId> = Vec::new();
    let mut tx = world.begin().await;
    tx.backups().insert(&server).await.unwrap();
    for _ in 0..3 {
        let mut backup = world.backup(vault.id, run.id, vault.resources[1].id, "b");
        backup.state = BackupState::Available { content: world.disk(5) };
        tx.backups().insert(&backup).await.unwrap();
        ids.push(backup.id);
    }
    tx.commit().await.unwrap();
    let undo: &[&str] = if is_sqlite {
        &[
            "DROP TRIGGER backup_counts_insert",
            "DROP TRIGGER backup_counts_delete",
            "DROP TRIGGER backup_counts_update",
        ]
    } else {
        &["DROP FUNCTION count_backup CASCADE"]
    };
    for text in undo {
        world.by_hand((*text).to_owned()).await;
    }
    world.by_hand("DROP TABLE backup_counts".into()).await;
    world.by_hand("DELETE FROM schema_migrations WHERE number = 44".into()).await;
    let world = world.reopened().await;
    check(&world, "migrated").await;
    let kinds =
        "SELECT COUNT(*) FROM backup_counts WHERE kind <> 'OS::Nova::Server' AND resource_id = ";
    let pool = raw(world.database()).await;
    let text = format!("{kinds}'{}'", vault.resources[0].id);
    let row = pool.fetch_one(sqlx::AssertSqlSafe(text)).await.unwrap();
    pool.close().await;
    assert_eq!(row.get::<i64, _>(0), 0, "a server's disks count for the server");
    // And it counts from there on.
    let mut tx = world.begin().await;
    assert!(tx.backups().delete(world.project, ids[0], "available").await.unwrap());
    tx.commit().await.unwrap();
    check(&world, "changed").await;
    assert_eq!(total(&world, &[], Some(&vault)).await, 3);
}

/// Contract C27, ADR 37: what is skipped by whole days is what is skipped one by one, in either order and from
/// any place.
async fn a_page_far_back_begins_at_its_day(database: TestDatabase) {
    const DAY: i64 = 86_400_000_000;
    let world = World::on(database).await;
    let (vault, _) = two_vaults(&world).await;
    let run = world.stored_checkpoint(vault.id).await;
    let first = world.backup(vault.id, run.id, vault.resources[1].id, "b");
    let mut tx = world.begin().await;
    tx.backups().insert(&first).await.unwrap();
    tx.commit().await.unwrap();
    // 2 400 more: 700 a day, two of each moment, the last of a day in its last microsecond; by hand, for speed.
    let digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4
                   UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    let columns = "project_id, vault_id, checkpoint_id, position, root_resource_id, name, description,
        resource_id, resource_name, resource_kind, resource_size_gib, resource_az, status, logical_bytes,
        incremental, auto_trigger, system_disk, updated_at";
    let text = format!(
        "INSERT INTO backups (id, created_at, {columns})
         SELECT '00000000-0000-4000-8000-' || CAST(100000000000 + n.i AS TEXT),
             (20000 + n.i / 700) * {DAY}
                 + CASE WHEN n.i % 700 >= 698 THEN {DAY} - 1 ELSE n.i % 700 / 2 END,
             {columns}
         FROM (SELECT a.d * 1000 + b.d * 100 + c.d * 10 + d.d AS i FROM {digits} a
               CROSS JOIN {digits} b CROSS JOIN {digits} c CROSS JOIN {digits} d) n
         CROSS JOIN (SELECT * FROM backups WHERE id = '{}') t WHERE n.i < 2400",
        first.id
    );
    world.by_hand(text).await;
    check(&world, "by hand").await;

    let pool = raw(world.database()).await;
    for direction in ["DESC", "ASC"] {
        let order = format!("created_at {direction}, id {direction}");
        let text = format!("SELECT created_at FROM backups ORDER BY {order}");
        let rows = pool.fetch_all(sqlx::AssertSqlSafe(text)).await.unwrap();
        let all: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        for offset in [999, 1000, 1399, 1400, 1401, 2098, 2100, 2399, 2400, 2401, 5000] {
            let sort =
                vec![BackupSort { key: BackupSortKey::CreatedAt, ascending: direction == "ASC" }];
            let far = BackupFilter { sort, ..BackupFilter::default() };
            let page = Page { limit: 3, offset, marker: None };
            let listed = far_page(&world, &far, &page).await;
            let expected: Vec<i64> =
                all.iter().skip(usize::try_from(offset).unwrap()).take(3).copied().collect();
            assert_eq!(listed, expected, "{order} from {offset}");
        }
    }
    pool.close().await;
}

/// When the backups of a page were made.
async fn far_page(world: &World, filter: &BackupFilter, page: &Page) -> Vec<i64> {
    let mut tx = world.read().await;
    let listed = tx.backups().list(world.project, filter, page).await.unwrap();
    assert_eq!(listed.total, 2401);
    listed.rows.iter().map(|backup| backup.created_at.0).collect()
}

/// Contract C27: no character of the text means anything else than itself.
async fn a_part_of_a_name_is_that_text(database: TestDatabase) {
    let world = World::on(database).await;
    let (vault, _) = two_vaults(&world).await;
    let run = world.stored_checkpoint(vault.id).await;
    let names = ["a_b", "axb", "A_B", "100-percent", "\u{65e5}\u{672c}"];
    let mut tx = world.begin().await;
    for name in names {
        let backup = world.backup(vault.id, run.id, vault.resources[1].id, name);
        tx.backups().insert(&backup).await.unwrap();
    }
    tx.commit().await.unwrap();
    for (text, expected) in [
        ("_", 2),
        ("a_b", 1),
        ("%", 0),
        ("\\", 0),
        ("a", 2),
        ("per", 1),
        ("00-percen", 1),
        ("PER", 0),
        ("p_r", 0),
        ("\u{672c}", 1),
        ("", 5),
    ] {
        let filter = BackupFilter { name: Some(text.to_owned()), ..BackupFilter::default() };
        let page = Page { limit: 10, offset: 0, marker: None };
        let mut tx = world.read().await;
        let listed = tx.backups().list(world.project, &filter, &page).await.unwrap();
        assert_eq!((listed.total, listed.rows.len() as u64), (expected, expected), "{text:?}");
    }
    assert!(world.read().await.backups().has_name_index().await.unwrap());
}
