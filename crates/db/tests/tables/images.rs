//! Images, and what they hold; predefined tags.

use cbr_db::{MeteredThing, MeteringFilter};
use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::billing::{Charged, Price};
use cbr_model::image::Image;
use cbr_model::query::{ImageFilter, Page};
use cbr_model::tag::Tag;
use cbr_model::{BackupId, DomainId, ProjectId};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    an_image_keeps_what_was_written,
    a_backup_with_an_image_never_begins_to_go,
    a_tag_is_defined_once,
    an_image_is_charged_from_when_it_can_be_used_until_it_goes,
}

fn image(world: &World, backup: BackupId, project: ProjectId) -> Image {
    Image {
        id: world.id(),
        project,
        backup,
        name: "golden 镜像".into(),
        description: "\"quoted\"".into(),
        enterprise_project: "0".into(),
        protected: false,
        min_ram_mib: 512,
        max_ram_mib: None,
        tags: vec![Tag { key: "env".into(), value: "lab".into() }],
        created_at: world.now(),
        updated_at: world.now(),
    }
}

/// A server's backup with one disk.
async fn stored(world: &World, state: BackupState) -> Backup {
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let mut backup = world.backup(vault.id, checkpoint.id, world.id(), "one");
    backup.state = state.clone();
    let mut child = world.backup(vault.id, checkpoint.id, world.id(), "disk");
    child.parent = Some(backup.id);
    child.state = match state {
        BackupState::Available { .. } => BackupState::Available { content: world.disk(5) },
        other => other,
    };
    backup.children = vec![child];
    let mut tx = world.begin().await;
    tx.backups().insert(&backup).await.unwrap();
    tx.commit().await.unwrap();
    backup
}

fn available() -> BackupState {
    BackupState::Available { content: Content::Server }
}

/// IMG-05: one image per backup and project.
async fn an_image_keeps_what_was_written(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = stored(&world, available()).await;
    let mut made = image(&world, backup.id, world.project);
    let mut tx = world.begin().await;
    tx.images().insert(&made).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.begin().await;
    let again = image(&world, backup.id, world.project);
    assert!(tx.images().insert(&again).await.is_err(), "IMG-05");
    drop(tx);

    made.name = "silver".into();
    made.max_ram_mib = Some(4096);
    made.protected = true;
    made.tags.clear();
    let mut tx = world.begin().await;
    assert!(tx.images().update(&made).await.unwrap());
    assert_eq!(tx.images().find(world.id(), made.id).await.unwrap(), None, "another project");
    assert_eq!(tx.images().find(world.project, made.id).await.unwrap(), Some(made.clone()));
    let count = async |tx: &mut cbr_db::Tx, filter: ImageFilter| {
        tx.images().list(world.project, &filter, &Page::default()).await.unwrap().total
    };
    let any = ImageFilter::default;
    for (filter, expected) in [
        (any(), 1),
        (ImageFilter { name: Some("silver".into()), ..any() }, 1),
        (ImageFilter { name: Some("silv".into()), ..any() }, 0),
        (ImageFilter { backup: Some(backup.id), ..any() }, 1),
        (ImageFilter { protected: Some(false), ..any() }, 0),
        (ImageFilter { tag_key: Some("env".into()), ..any() }, 0),
        (ImageFilter { backup_statuses: vec!["available"], ..any() }, 1),
        (ImageFilter { backup_statuses: vec!["protecting"], ..any() }, 0),
        (ImageFilter { enterprise_project: Some("x".into()), ..any() }, 0),
    ] {
        assert_eq!(count(&mut tx, filter.clone()).await, expected, "{filter:?}");
    }
    let known = tx.images().of_backups(world.project, &[backup.id]).await.unwrap();
    assert_eq!(known.get(&backup.id), Some(&Some(made.id)));
    let others = tx.images().of_backups(world.id(), &[backup.id]).await.unwrap();
    assert_eq!(others.get(&backup.id), Some(&None), "it has one, of somebody else");
    assert_eq!(tx.images().in_vault(backup.vault).await.unwrap()[0].resource, backup.resource);
    assert!(tx.images().delete(world.project, made.id).await.unwrap());
    assert!(!tx.images().delete(world.project, made.id).await.unwrap());
}

/// IMG-06: whoever forgets to ask, the rows refuse it, for the server's backup and for its disks.
async fn a_backup_with_an_image_never_begins_to_go(database: TestDatabase) {
    let world = World::on(database).await;
    let backup = stored(&world, available()).await;
    let made = image(&world, backup.id, world.id());
    let mut tx = world.begin().await;
    tx.images().insert(&made).await.unwrap();
    for part in [&backup, &backup.children[0]] {
        let state = part.state.clone().begin_delete().unwrap();
        let going = Backup { state, children: vec![], ..part.clone() };
        assert!(!tx.backups().update(&going, "available").await.unwrap());
    }
    tx.images().delete(made.project, made.id).await.unwrap();
    let state = backup.state.clone().begin_delete().unwrap();
    let going = Backup { state, children: vec![], ..backup.clone() };
    assert!(tx.backups().update(&going, "available").await.unwrap());

    // Of a failed one nothing can be made: its image goes with it.
    drop(tx);
    let failed = stored(&world, BackupState::Error { reason: "x".into(), content: None }).await;
    let mut tx = world.begin().await;
    let killed = image(&world, failed.id, world.project);
    tx.images().insert(&killed).await.unwrap();
    let state = failed.state.clone().begin_delete().unwrap();
    let going = Backup { state, children: vec![], ..failed.clone() };
    assert!(tx.backups().update(&going, "error").await.unwrap());
    assert_eq!(tx.images().find(world.project, killed.id).await.unwrap(), None);
}

/// TAG-02.
async fn a_tag_is_defined_once(database: TestDatabase) {
    let world = World::on(database).await;
    let (domain, other): (DomainId, DomainId) = (world.id(), world.id());
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
    let mut tx = world.begin().await;
    for tag in [tag("env", "prod"), tag("env", "lab"), tag("team", ""), tag("env", "lab")] {
        tx.predefined_tags().insert(domain, &tag).await.unwrap();
    }
    let listed = tx.predefined_tags().list(domain, None, None).await.unwrap();
    let texts: Vec<_> = listed.iter().map(|it| (&*it.tag.key, &*it.tag.value)).collect();
    assert_eq!(texts, [("env", "lab"), ("env", "prod"), ("team", "")]);
    let some = tx.predefined_tags().list(domain, Some(&"en".into()), Some(&"ro".into())).await;
    assert_eq!(some.unwrap().len(), 1);
    assert!(tx.predefined_tags().list(other, None, None).await.unwrap().is_empty());
    assert!(tx.predefined_tags().delete(domain, &tag("team", "")).await.unwrap());
    assert!(!tx.predefined_tags().delete(domain, &tag("team", "")).await.unwrap());
}

/// BIL-07: not while its backup is being made, in started GB, and not after it has gone; of one whose backup is
/// forgotten the same.
async fn an_image_is_charged_from_when_it_can_be_used_until_it_goes(database: TestDatabase) {
    let world = World::on(database).await;
    let hour = std::time::Duration::from_hours(1);
    let mut backup = stored(&world, BackupState::Protecting).await;
    let made = image(&world, backup.id, world.project);
    let mut tx = world.begin().await;
    tx.images().insert(&made).await.unwrap();
    tx.images().note_complete(made.id).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(hour); // hour 1
    backup.state = available();
    backup.children[0].state = BackupState::Available { content: world.disk(5) };
    let mut tx = world.begin().await;
    assert!(tx.backups().update(&backup, "protecting").await.unwrap());
    assert!(tx.backups().update(&backup.children[0], "protecting").await.unwrap());
    for _ in 0..2 {
        tx.images().note_complete(made.id).await.unwrap();
    }
    tx.commit().await.unwrap();
    world.clock.advance(hour); // hour 2
    let mut tx = world.begin().await;
    assert!(tx.images().delete(world.project, made.id).await.unwrap());
    tx.commit().await.unwrap();
    world.clock.advance(hour);
    let price = Price::from_millionths(70).unwrap();
    let mut tx = world.begin().await;
    let mut rows = Vec::new();
    for hour in 0..4 {
        rows.push(tx.metering().meter(hour, Charged::Image, price, "EUR").await.unwrap());
    }
    assert_eq!(rows, [0, 1, 1, 0]);
    let filter = MeteringFilter { from: 0, until: 9, vault: None };
    let (hours, ..) = tx.metering().list(world.project, filter, &Page::default()).await.unwrap();
    let first = &hours[0];
    assert_eq!((first.of, first.charged), (MeteredThing::Image(made.id), Charged::Image));
    assert_eq!((first.size.0, first.amount), (1, 70), "a started GB");
}
