//! What the contract knows of vaults beyond their capacity: tags as a filter, totals, orders, quotas.

use cbr_model::backup::BackupState;
use cbr_model::billing::Money;
use cbr_model::order::{Order, OrderKind, OrderStatus, Period, PeriodUnit};
use cbr_model::query::{Page, TagFilter, TagMatch, ValueMatch, VaultFilter};
use cbr_model::quota::Quota;
use cbr_model::resource::ResourceKind;
use cbr_model::size::{Bytes, Gib};
use cbr_model::tag::Tag;
use cbr_model::vault::{Consistency, VaultStatus};
use cbr_model::{ProjectId, Timestamp};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    vaults_are_found_by_their_tags,
    tags_in_use_are_listed_once,
    totals_and_notices_are_those_of_the_project,
    an_order_is_kept_for_each_of_its_vaults,
    backups_are_added_up_by_resource,
    a_quota_holds_for_its_project_until_it_is_taken_back,
}

async fn store(world: &World, name: &str, tags: &[(&str, &str)]) {
    let mut vault = world.vault(name);
    vault.tags = tags
        .iter()
        .map(|(key, value)| Tag { key: (*key).into(), value: (*value).into() })
        .collect();
    let mut tx = world.begin().await;
    tx.vaults().insert(&vault).await.unwrap();
    tx.commit().await.unwrap();
}

/// Contract C22: the truth table of the four lists, of values and of substrings.
async fn vaults_are_found_by_their_tags(database: TestDatabase) {
    let world = World::on(database).await;
    store(&world, "none", &[]).await;
    store(&world, "a1", &[("a", "one")]).await;
    store(&world, "a2", &[("a", "two")]).await;
    store(&world, "a1b", &[("a", "one"), ("b", "")]).await;
    let is = |text: &str| ValueMatch::Is(text.into());
    let part = |text: &str| ValueMatch::Contains(text.into());
    let tag =
        |key: &str, values: &[ValueMatch]| TagMatch { key: key.into(), values: values.into() };
    let none = TagFilter::default;
    let (any_a, a_one, b) = (tag("a", &[]), tag("a", &[is("one")]), tag("b", &[is("")]));
    let table: Vec<(TagFilter, &[&str])> = vec![
        (none(), &["a1", "a1b", "a2", "none"]),
        (TagFilter { is_untagged: true, ..none() }, &["none"]),
        (TagFilter { all: vec![any_a.clone()], ..none() }, &["a1", "a1b", "a2"]),
        (TagFilter { all: vec![a_one.clone(), b.clone()], ..none() }, &["a1b"]),
        (TagFilter { all: vec![tag("a", &[is("two"), is("x")])], ..none() }, &["a2"]),
        (TagFilter { all: vec![tag("a", &[part("w")])], ..none() }, &["a2"]),
        (TagFilter { all: vec![tag("a", &[part("W"), is("%")])], ..none() }, &[]),
        (TagFilter { any: vec![b.clone(), tag("a", &[is("two")])], ..none() }, &["a1b", "a2"]),
        (TagFilter { not_all: vec![a_one.clone(), b.clone()], ..none() }, &["a1", "a2", "none"]),
        (TagFilter { not_any: vec![a_one.clone(), b.clone()], ..none() }, &["a2", "none"]),
        (TagFilter { all: vec![any_a], not_any: vec![b], ..none() }, &["a1", "a2"]),
    ];
    for (tags, want) in table {
        let filter = VaultFilter { tags, ..VaultFilter::default() };
        let mut tx = world.read().await;
        let found = tx.vaults().list(world.project, &filter, &Page::default()).await.unwrap();
        let mut names: Vec<String> = found.rows.iter().map(|v| v.name.to_string()).collect();
        names.sort();
        assert_eq!(names, want, "{:?}", filter.tags);
        assert_eq!(found.total, want.len() as u64);
    }
}

/// Contract C21.
async fn tags_in_use_are_listed_once(database: TestDatabase) {
    let world = World::on(database).await;
    store(&world, "v1", &[("b", "2"), ("a", "1")]).await;
    store(&world, "v2", &[("b", "1"), ("a", "1")]).await;
    let mut tx = world.read().await;
    let found = tx.vaults().tags_in_use(world.project).await.unwrap();
    let found: Vec<(&str, &str)> =
        found.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    assert_eq!(found, [("a", "1"), ("b", "1"), ("b", "2")]);
    assert_eq!(tx.vaults().tags_in_use(world.id()).await.unwrap(), []);
}

/// Contract C6, C15: all vaults of the project and no other; not those that allow no change.
async fn totals_and_notices_are_those_of_the_project(database: TestDatabase) {
    let world = World::on(database).await;
    let first = world.stored_vault("a").await;
    let mut frozen = world.vault("b");
    frozen.status = VaultStatus::Frozen;
    let mut foreign = world.vault("c");
    foreign.project = world.id();
    let mut tx = world.begin().await;
    tx.vaults().insert(&frozen).await.unwrap();
    tx.vaults().insert(&foreign).await.unwrap();
    assert_eq!(tx.vaults().totals(world.project).await.unwrap(), (Gib(200), Bytes(0)));
    assert_eq!(tx.vaults().count(world.project).await.unwrap(), 2);
    assert_eq!(tx.vaults().capacity(world.project).await.unwrap(), Gib(200));
    assert_eq!(tx.vaults().capacity(world.id()).await.unwrap(), Gib(0));
    let from = [VaultStatus::Available];
    let changed = tx.vaults().update_notices(world.project, &from, Some(false), None).await;
    assert_eq!(changed.unwrap(), [(first.id, "a".to_owned())]);
    let changed = tx.vaults().update_notices(world.project, &from, None, Some(7)).await;
    assert_eq!(changed.unwrap(), [(first.id, "a".to_owned())]);
    let found = tx.vaults().find(world.project, first.id).await.unwrap().unwrap();
    assert_eq!((found.smn_notify, found.threshold), (false, 7));
    for (project, other) in [(world.project, frozen.id), (foreign.project, foreign.id)] {
        let found = tx.vaults().find(project, other).await.unwrap().unwrap();
        assert_eq!((found.smn_notify, found.threshold), (true, 80), "untouched");
    }
    assert_eq!(tx.vaults().totals(world.id()).await.unwrap(), (Gib(0), Bytes(0)));
}

/// BIL-01: what was agreed outlives the vault.
async fn an_order_is_kept_for_each_of_its_vaults(database: TestDatabase) {
    let world = World::on(database).await;
    let order = Order {
        id: world.id(),
        project: world.project,
        user: world.id(),
        vault: world.id(),
        kind: OrderKind::ToPrepaid,
        size: Gib(10),
        consistency: Consistency::CrashConsistent,
        product: Some("p-1".into()),
        period: Period::new(PeriodUnit::Year, 2),
        auto_renew: true,
        status: OrderStatus::Unpaid,
        amount: Money(1200),
        begins_at: None,
        ends_at: None,
        created_at: Timestamp(5),
    };
    let change = Order {
        id: world.id(),
        kind: OrderKind::Change,
        product: None,
        period: None,
        created_at: Timestamp(6),
        ..order.clone()
    };
    let other = Order { vault: world.id(), ..order.clone() };
    let mut tx = world.begin().await;
    for one in [&change, &order, &other] {
        tx.orders().insert(one).await.unwrap();
    }
    let found = tx.orders().list(world.project, order.vault).await.unwrap();
    assert_eq!(found, [order.clone(), change]);
    let mut both = [order.clone(), other];
    both.sort_by_key(|order| order.vault);
    assert_eq!(tx.orders().find(world.project, order.id).await.unwrap(), both);
    let stranger: ProjectId = world.id();
    assert_eq!(tx.orders().find(stranger, order.id).await.unwrap(), []);
    assert_eq!(tx.orders().list(stranger, order.vault).await.unwrap(), []);

    // BIL-08: a line is settled, and only it.
    let done = Order {
        status: OrderStatus::Completed,
        begins_at: Some(Timestamp(7)),
        ends_at: Some(Timestamp(9)),
        ..order.clone()
    };
    tx.orders().settle(&done).await.unwrap();
    let page = Page { limit: 2, offset: 0, marker: None };
    let (lines, total) = tx.orders().page(world.project, None, &page).await.unwrap();
    assert_eq!((lines.len(), total), (2, 3));
    assert_eq!(lines[0].kind, OrderKind::Change, "newest first");
    let (lines, total) = tx.orders().page(world.project, Some(order.vault), &page).await.unwrap();
    assert_eq!((&lines[1], total), (&done, 2));
    let nothing = (Vec::new(), 0);
    assert_eq!(tx.orders().page(stranger, None, &page).await.unwrap(), nothing);
}

/// QUO-06.
async fn a_quota_holds_for_its_project_until_it_is_taken_back(database: TestDatabase) {
    let world = World::on(database).await;
    let mut tx = world.begin().await;
    let (project, other) = (world.project, world.id());
    assert_eq!(tx.quotas().limit(project, Quota::Vaults).await.unwrap(), None);
    assert_eq!(tx.quotas().limit(project, Quota::VaultTags).await.unwrap(), Some(10));
    tx.quotas().set(project, Quota::Vaults, Some(3)).await.unwrap();
    tx.quotas().set(project, Quota::Vaults, Some(0)).await.unwrap();
    assert_eq!(tx.quotas().limit(project, Quota::Vaults).await.unwrap(), Some(0));
    assert_eq!(tx.quotas().limit(other, Quota::Vaults).await.unwrap(), None);
    tx.quotas().set(project, Quota::Vaults, None).await.unwrap();
    assert_eq!(tx.quotas().limit(project, Quota::Vaults).await.unwrap(), None);
}

/// Contract C64, C16: what each resource has; what is kept until a time, and what is not.
async fn backups_are_added_up_by_resource(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let run = world.stored_checkpoint(vault.id).await;
    let mut ids = [world.id(), world.id()];
    ids.sort();
    let mut tx = world.begin().await;
    for (resource, name, kept) in
        [(ids[0], "old", Some(Timestamp(50))), (ids[0], "new", None), (ids[1], "other", None)]
    {
        let mut backup = world.backup(vault.id, run.id, resource, name);
        backup.expired_at = kept;
        backup.created_at = Timestamp(if name == "new" { 12 } else { 11 });
        backup.auto_trigger = name == "other";
        backup.state = BackupState::Available { content: world.disk(7) };
        tx.backups().insert(&backup).await.unwrap();
    }
    let page = Page::default();
    let (found, total) = tx.vault_backups().usage(world.project, None, None, &page).await.unwrap();
    let shown: Vec<_> =
        found.iter().map(|one| (one.resource, one.name.as_str(), one.backups, one.bytes)).collect();
    let want = [(ids[0], "disk-of-new", 2, Bytes(14)), (ids[1], "disk-of-other", 1, Bytes(7))];
    assert_eq!((shown.as_slice(), total), (want.as_slice(), 2));
    let second = Page { limit: 1, offset: 1, marker: None };
    let (found, total) =
        tx.vault_backups().usage(world.project, None, None, &second).await.unwrap();
    assert_eq!((found.len(), found[0].resource, total), (1, ids[1], 2));
    for (resource, kind, want) in [
        (Some(ids[1]), None, 1),
        (None, Some(ResourceKind::Volume), 2),
        (None, Some(ResourceKind::Server), 0),
        (Some(world.id()), None, 0),
    ] {
        let found = tx.vault_backups().usage(world.project, resource, kind, &page).await.unwrap();
        assert_eq!((found.0.len(), found.1), (want, want as u64), "{resource:?} {kind:?}");
    }
    let stranger = tx.vault_backups().usage(world.id(), None, None, &page).await.unwrap();
    assert_eq!(stranger, (Vec::new(), 0));

    let taken = tx.vault_backups().taken(vault.id).await.unwrap();
    let shown: Vec<_> = taken.iter().map(|one| (one.made.0, one.end, one.bytes.0)).collect();
    assert_eq!(shown.len(), 3);
    assert!(shown.contains(&(11, Some(Timestamp(50)), 7)) && shown[2] == (12, None, 7));
    assert_eq!(tx.vault_backups().taken(world.id()).await.unwrap(), []);

    let kept = tx.vault_backups().kept_until(vault.id).await.unwrap();
    assert_eq!((kept.len(), kept[0].end, kept[0].auto_trigger), (1, Timestamp(50), false));
    tx.vault_backups().keep_until(vault.id, Timestamp(99)).await.unwrap();
    assert_eq!(tx.vault_backups().kept_until(vault.id).await.unwrap()[0].end, Timestamp(99));
    let automatic = tx.vault_backups().unexpired_automatic(vault.id).await.unwrap();
    assert!(automatic.is_some(), "one that is kept for ever");
}
