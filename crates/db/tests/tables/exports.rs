//! Backups that are given out as disks.

use cbr_model::Timestamp;
use cbr_model::backup::{BackupState, Content};
use cbr_model::export::Export;
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    exports_come_back_and_go_only_when_they_were_closed,
    a_backup_that_is_exported_cannot_vanish,
}

async fn exported(world: &World) -> Export {
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut backup = world.backup(vault.id, checkpoint.id, world.id(), "one");
    backup.state = BackupState::Available { content: Content::Server };
    let export = Export {
        id: world.id(),
        project: world.project,
        backup: backup.id,
        node: "here".into(),
        writable: true,
        opened: false,
        closing: false,
        created_at: Timestamp(5),
    };
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    tx.exports().insert(&export).await.unwrap();
    assert_eq!(tx.exports().list_of_vault(vault.id).await.unwrap(), std::slice::from_ref(&export));
    tx.commit().await.unwrap();
    export
}

async fn exports_come_back_and_go_only_when_they_were_closed(database: TestDatabase) {
    let world = World::on(database).await;
    let export = exported(&world).await;
    let mut tx = world.begin().await;
    let (project, backup) = (export.project, export.backup);
    assert_eq!(tx.exports().list(project, None).await.unwrap(), std::slice::from_ref(&export));
    assert_eq!(
        tx.exports().list(project, Some(backup)).await.unwrap(),
        std::slice::from_ref(&export)
    );
    assert_eq!(tx.exports().list(project, Some(world.id())).await.unwrap(), []);
    assert_eq!(tx.exports().list(world.id(), None).await.unwrap(), [], "another project");
    assert_eq!(tx.exports().list_of_node("there").await.unwrap(), []);
    assert_eq!(tx.exports().list_of_vault(world.id()).await.unwrap(), []);

    assert!(tx.exports().set_opened(export.id).await.unwrap());
    let export = Export { opened: true, ..export };
    assert_eq!(tx.exports().list_of_node("here").await.unwrap(), std::slice::from_ref(&export));
    assert!(!tx.exports().delete(export.id).await.unwrap(), "it is open");
    assert!(!tx.exports().begin_close(world.id(), export.id).await.unwrap(), "not theirs");
    assert!(tx.exports().begin_close(project, export.id).await.unwrap());
    let closing = Export { closing: true, ..export.clone() };
    assert!(!tx.exports().set_opened(export.id).await.unwrap(), "it is being ended");
    assert_eq!(tx.exports().list_of_node("here").await.unwrap(), [closing]);
    assert!(tx.exports().delete(export.id).await.unwrap());
    assert_eq!(tx.exports().list(project, None).await.unwrap(), []);
}

async fn a_backup_that_is_exported_cannot_vanish(database: TestDatabase) {
    let world = World::on(database).await;
    let export = exported(&world).await;
    let mut tx = world.begin().await;
    let mut backup =
        tx.backups().find(export.project, export.backup).await.unwrap().expect("it was stored");
    let before = backup.state.as_str();
    backup.state = backup.state.begin_delete().unwrap();
    assert!(tx.backups().update(&backup, before).await.unwrap());
    tx.backups().delete(export.project, export.backup, "deleting").await.unwrap_err();
}
