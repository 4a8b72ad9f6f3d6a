//! Alarms, events, topics and deliveries.

use std::sync::Arc;

use cbr_db::{DbError, KnownState, LastBackup, RecordFilter};
use cbr_model::Timestamp;
use cbr_model::alarm::{
    AlarmRecord, AlarmRule, AlarmState, AlarmTemplate, Comparison, Condition, RecordDetail,
    Watched, What, Window,
};
use cbr_model::backup::{BackupState, Content};
use cbr_model::event::{CbrEvent, EventKind};
use cbr_model::metric::{Filter, Metric};
use cbr_model::query::Page;
use cbr_model::topic::{Delivery, DeliveryStatus, Message, Protocol, Subscription, Text, Topic};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    a_slot_is_decided_by_who_is_first,
    an_alarm_ends_when_its_state_changes,
    templates_and_rules_come_back,
    an_event_is_handled_once,
    topics_go_with_their_subscriptions,
    deliveries_are_counted_noted_and_revived,
    the_newest_backups_are_known,
}

fn condition() -> Condition {
    Condition {
        what: What::Metric(Metric::VaultUtil),
        period: 1,
        filter: Filter::Max,
        comparison: Comparison::Greater,
        threshold: 80.5,
        count: 2,
        suppress: 300,
        level: 1,
    }
}

fn rule(world: &World, name: &str, what: What) -> AlarmRule {
    AlarmRule {
        id: world.id(),
        project: world.project,
        name: name.into(),
        description: "d".into(),
        watched: Watched::Vaults(vec![world.id()]),
        conditions: vec![Condition { what, ..condition() }],
        enabled: true,
        notifies: true,
        on_alarm: vec![world.id()],
        on_recovery: vec![],
        window: Window::default(),
        enterprise_project: "0".into(),
        template: None,
        created_at: world.now(),
        updated_at: world.now(),
    }
}

fn state(slot: i64, state: AlarmState) -> KnownState {
    KnownState { condition: 0, resource: "v".into(), state, slot, told_slot: Some(slot) }
}

/// MON-08: of those who decide a slot one is first; a slot that is over is decided by nobody.
async fn a_slot_is_decided_by_who_is_first(database: TestDatabase) {
    let world = World::on(database).await;
    let rule = rule(&world, "r", What::Metric(Metric::VaultUtil));
    let mut tx = world.begin().await;
    tx.alarms().insert(&rule).await.unwrap();
    tx.commit().await.unwrap();
    let nodes = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData].map(|known| {
        let (db, id) = (Arc::clone(&world.db), rule.id);
        tokio::spawn(async move {
            let mut tx = db.begin().await.unwrap();
            let is_first = tx.alarms().decide(id, &state(7, known)).await.unwrap();
            tx.commit().await.unwrap();
            is_first.then_some(known)
        })
    });
    let mut firsts = Vec::new();
    for node in nodes {
        firsts.extend(node.await.unwrap());
    }
    let [first] = firsts.try_into().unwrap();
    let mut tx = world.begin().await;
    assert_eq!(tx.alarms().states(rule.id).await.unwrap(), [state(7, first)]);
    assert!(!tx.alarms().decide(rule.id, &state(6, AlarmState::Ok)).await.unwrap());
    assert!(tx.alarms().decide(rule.id, &state(8, AlarmState::Ok)).await.unwrap());
    assert!(tx.alarms().update(&rule, true).await.unwrap());
    assert_eq!(tx.alarms().states(rule.id).await.unwrap().len(), 1);
    assert!(tx.alarms().update(&rule, false).await.unwrap());
    assert_eq!(tx.alarms().states(rule.id).await.unwrap().len(), 0);
    tx.alarms().decide(rule.id, &state(9, AlarmState::Ok)).await.unwrap();
    assert!(tx.alarms().delete(world.project, rule.id).await.unwrap());
    assert!(tx.alarms().states(rule.id).await.unwrap().is_empty());
    assert!(!tx.alarms().delete(world.project, rule.id).await.unwrap());
}

async fn an_alarm_ends_when_its_state_changes(database: TestDatabase) {
    let world = World::on(database).await;
    let rule = rule(&world, "r", What::Metric(Metric::VaultUtil));
    let record = |status, at: i64| AlarmRecord {
        id: world.id(),
        project: world.project,
        alarm: rule.id,
        alarm_name: "r".into(),
        condition: 0,
        resource: "v".into(),
        status,
        level: 2,
        on_event: false,
        detail: RecordDetail { values: vec![Some(1.5), None], ..RecordDetail::default() },
        at: Timestamp(at),
        ended_at: None,
    };
    let mut tx = world.begin().await;
    tx.alarm_records().insert(&record(AlarmState::Alarm, 10)).await.unwrap();
    let event = AlarmRecord { on_event: true, ..record(AlarmState::Alarm, 15) };
    tx.alarm_records().insert(&event).await.unwrap();
    tx.alarm_records().insert(&record(AlarmState::Ok, 20)).await.unwrap();
    let all = RecordFilter::default();
    let listed = tx.alarm_records().list(world.project, &all, &Page::default()).await.unwrap();
    let ended: Vec<_> = listed.rows.iter().map(|one| (one.at.0, one.ended_at)).collect();
    assert_eq!(ended, [(20, None), (15, None), (10, Some(Timestamp(20)))]);
    assert_eq!(listed.rows[2].detail.values, [Some(1.5), None]);
    for (filter, count) in [
        (RecordFilter { alarms: vec![world.id()], ..all.clone() }, 0),
        (RecordFilter { statuses: vec![AlarmState::Alarm], ..all.clone() }, 2),
        (RecordFilter { on_event: Some(true), ..all.clone() }, 1),
        (RecordFilter { from: Some(Timestamp(11)), to: Some(Timestamp(19)), ..all.clone() }, 1),
        (RecordFilter { level: Some(3), ..all.clone() }, 0),
        (RecordFilter { resource: Some("v".into()), name: Some("r".into()), ..all.clone() }, 3),
        (RecordFilter { id: Some(listed.rows[0].id), ..all.clone() }, 1),
        (RecordFilter { namespace: Some("SYS.CBR".into()), ..all.clone() }, 3),
        (RecordFilter { namespace: Some("shop.orders".into()), ..all.clone() }, 0),
    ] {
        let found =
            tx.alarm_records().list(world.project, &filter, &Page::default()).await.unwrap();
        assert_eq!(found.total, count, "{filter:?}");
    }
    tx.alarm_records().insert(&record(AlarmState::Alarm, 30)).await.unwrap();
    assert_eq!(tx.alarm_records().forget(Timestamp(99), 9).await.unwrap(), 3, "not the open one");
}

/// MON-09.
async fn templates_and_rules_come_back(database: TestDatabase) {
    let world = World::on(database).await;
    let template = AlarmTemplate {
        id: world.id(),
        project: Some(world.project),
        name: "t".into(),
        description: String::new(),
        conditions: vec![condition()],
        created_at: world.now(),
    };
    let on_event = rule(&world, "event", What::Event(EventKind::RunMissed));
    let on_metric = rule(&world, "metric", What::Metric(Metric::UsedVaultSize));
    let off = AlarmRule { enabled: false, ..rule(&world, "off", What::Metric(Metric::VaultUtil)) };
    let mut tx = world.begin().await;
    for rule in [&on_event, &on_metric, &off] {
        tx.alarms().insert(rule).await.unwrap();
    }
    let project = world.project;
    assert_eq!(tx.alarms().find(project, on_event.id).await.unwrap(), Some(on_event.clone()));
    assert_eq!(tx.alarms().find(world.id(), on_event.id).await.unwrap(), None);
    assert_eq!(tx.alarms().enabled_on_events(project).await.unwrap(), [on_event]);
    assert_eq!(
        tx.alarms().enabled_on_metrics(None, 10).await.unwrap(),
        std::slice::from_ref(&on_metric)
    );
    assert_eq!(tx.alarms().enabled_on_metrics(Some(on_metric.id), 10).await.unwrap(), []);
    assert_eq!(tx.alarms().count(project).await.unwrap(), 3);
    let name = Some("e".to_owned());
    let page = Page { limit: 1, ..Page::default() };
    let listed = tx.alarms().list(project, name.as_ref(), None, true, &page).await.unwrap();
    assert_eq!((listed.total, listed.rows.len()), (2, 1));
    let published = rule(
        &world,
        "own",
        What::Published {
            namespace: "shop.orders".into(),
            name: "open".into(),
            unit: String::new(),
        },
    );
    tx.alarms().insert(&published).await.unwrap();
    for (namespace, count) in [("shop.orders", 1), ("SYS.CBR", 3), ("shop.other", 0)] {
        let listed = tx.alarms().list(project, None, Some(namespace), true, &page).await.unwrap();
        assert_eq!(listed.total, count, "{namespace}");
    }
    tx.alarms().insert_template(&template).await.unwrap();
    assert_eq!(
        tx.alarms().find_template(project, template.id).await.unwrap(),
        Some(template.clone())
    );
    let listed = tx.alarms().list_templates(project, &Page::default()).await.unwrap();
    assert_eq!(listed.rows, std::slice::from_ref(&template));
    assert!(tx.alarms().delete_template(project, template.id).await.unwrap());
    tx.alarms().insert_template(&template).await.unwrap();
    let twin = AlarmTemplate { id: world.id(), ..template };
    let taken = tx.alarms().insert_template(&twin).await.unwrap_err();
    assert!(matches!(taken, DbError::Taken { .. }), "{taken}");
}

async fn an_event_is_handled_once(database: TestDatabase) {
    let world = World::on(database).await;
    let event = |kind, at| CbrEvent {
        id: world.id(),
        project: world.project,
        kind,
        vault: Some(world.id()),
        resource: None,
        resource_name: "n".into(),
        detail: "d".into(),
        at: Timestamp(at),
    };
    let (old, new) = (event(EventKind::BackupFailed, 1), event(EventKind::VaultFull, 2));
    let mut tx = world.begin().await;
    for one in [&new, &old, &old] {
        tx.events().insert(one).await.unwrap();
    }
    assert_eq!(tx.events().open(None, 10).await.unwrap(), [old.clone(), new.clone()]);
    assert_eq!(tx.events().open(None, 1).await.unwrap(), std::slice::from_ref(&old));
    assert_eq!(tx.events().open(Some(&old), 10).await.unwrap(), std::slice::from_ref(&new));
    assert_eq!(tx.events().open(Some(&new), 10).await.unwrap(), []);
    assert!(tx.events().set_handled(old.id).await.unwrap());
    assert!(!tx.events().set_handled(old.id).await.unwrap());
    assert_eq!(tx.events().open(None, 10).await.unwrap(), std::slice::from_ref(&new));
    let kind = Some(EventKind::VaultFull);
    let listed = tx.events().list(world.project, kind, &Page::default()).await.unwrap();
    assert_eq!(listed.rows, [new]);
    let mut counts = tx.events().counts().await.unwrap();
    counts.sort_by_key(|(kind, _)| kind.as_str());
    assert_eq!(counts, [(EventKind::BackupFailed, 1), (EventKind::VaultFull, 1)]);
    assert_eq!(tx.events().forget(Timestamp(99), 9).await.unwrap(), 1, "what is open stays");
}

fn topic(world: &World, name: &str) -> Topic {
    Topic {
        id: world.id(),
        project: world.project,
        name: name.into(),
        display_name: String::new(),
        takes_notices: false,
        created_at: world.now(),
        updated_at: world.now(),
    }
}

fn subscription(world: &World, topic: &Topic) -> Subscription {
    Subscription {
        id: world.id(),
        project: world.project,
        topic: topic.id,
        protocol: Protocol::Https,
        endpoint: "https://a".into(),
        remark: String::new(),
        sealed_root: vec![0, 1, 255],
        created_at: world.now(),
        confirmed_at: None,
    }
}

async fn topics_go_with_their_subscriptions(database: TestDatabase) {
    let world = World::on(database).await;
    let ops = topic(&world, "ops");
    let one = subscription(&world, &ops);
    let mut tx = world.begin().await;
    tx.topics().insert(&ops).await.unwrap();
    tx.topics().subscribe(&one).await.unwrap();
    assert_eq!(tx.topics().find(world.project, "ops").await.unwrap(), Some(ops.clone()));
    assert_eq!(tx.topics().by_id(world.id(), ops.id).await.unwrap(), None);
    assert_eq!(tx.topics().subscriptions(ops.id).await.unwrap(), std::slice::from_ref(&one));
    assert!(tx.topics().confirm(one.id).await.unwrap());
    assert!(!tx.topics().confirm(one.id).await.unwrap(), "no news");
    assert!(tx.topics().for_notices(world.project).await.unwrap().is_empty());
    let change = Topic { takes_notices: true, display_name: "x".into(), ..ops.clone() };
    assert!(tx.topics().update(&change).await.unwrap());
    assert_eq!(tx.topics().for_notices(world.project).await.unwrap().len(), 1);
    tx.topics().reseal(one.id, &[9]).await.unwrap();
    assert_eq!(tx.topics().sealed().await.unwrap(), [(one.id, vec![9])]);
    let project = world.project;
    let listed = tx.topics().list_subscriptions(project, Some(ops.id), &Page::default()).await;
    assert_eq!(listed.unwrap().total, 1);
    assert!(!tx.topics().unsubscribe(world.id(), one.id).await.unwrap(), "another's");
    assert!(tx.topics().delete(project, ops.id).await.unwrap());
    assert_eq!(tx.topics().subscription(one.id).await.unwrap(), None);
    tx.topics().insert(&ops).await.unwrap();
    let twin = tx.topics().insert(&topic(&world, "ops")).await.unwrap_err();
    assert!(matches!(twin, DbError::Taken { .. }), "{twin}");
}

async fn deliveries_are_counted_noted_and_revived(database: TestDatabase) {
    let world = World::on(database).await;
    let delivery = Delivery {
        id: world.id(),
        project: world.project,
        topic_name: "ops".into(),
        subscription: world.id(),
        protocol: Protocol::Email,
        endpoint: "a@b".into(),
        message: Message {
            kind: "notice".into(),
            en: Text { subject: "s".into(), body: "b".into() },
            zh: None,
            particulars: [("k".to_owned(), "v".to_owned())].into(),
        },
        is_confirmation: true,
        status: DeliveryStatus::Waiting,
        attempts: 0,
        error: None,
        created_at: world.now(),
        ended_at: None,
    };
    let mut tx = world.begin().await;
    tx.deliveries().insert(&delivery).await.unwrap();
    assert_eq!(tx.deliveries().find(delivery.id).await.unwrap(), Some(delivery.clone()));
    assert_eq!(tx.deliveries().confirmations("a@b", Timestamp(0)).await.unwrap(), 1);
    assert_eq!(tx.deliveries().confirmations("a@b", Timestamp(i64::MAX)).await.unwrap(), 0);
    assert!(!tx.deliveries().revive(world.project, delivery.id).await.unwrap(), "not dead");
    let why = "no".to_owned();
    tx.deliveries().note(delivery.id, 3, DeliveryStatus::Dead, Some(&why)).await.unwrap();
    let dead = Some(DeliveryStatus::Dead);
    let listed = tx.deliveries().list(world.project, dead, &Page::default()).await.unwrap();
    assert_eq!((listed.rows[0].attempts, listed.rows[0].error.as_deref()), (3, Some("no")));
    assert_eq!(tx.deliveries().counts().await.unwrap(), [(DeliveryStatus::Dead, 1)]);
    assert!(!tx.deliveries().revive(world.id(), delivery.id).await.unwrap(), "another's");
    assert!(tx.deliveries().revive(world.project, delivery.id).await.unwrap());
    assert_eq!(tx.deliveries().forget(Timestamp(i64::MAX), 9).await.unwrap(), 0, "it waits");
}

/// What the gauges of a resource say.
async fn the_newest_backups_are_known(database: TestDatabase) {
    let world = World::on(database).await;
    let vault = world.stored_vault("v").await;
    let checkpoint = world.stored_checkpoint(vault.id).await;
    let bound = world.resource("web");
    let resource = bound.id;
    let at = |state: BackupState, created: i64, protected: Option<i64>| {
        let mut backup = world.backup(vault.id, checkpoint.id, resource, "b");
        (backup.state, backup.created_at) = (state, Timestamp(created));
        backup.protected_at = protected.map(Timestamp);
        backup
    };
    let good = BackupState::Available { content: Content::Server };
    let bad = BackupState::Error { content: None, reason: "no".into() };
    let mut tx = world.begin().await;
    tx.bindings().insert(vault.id, &bound).await.unwrap();
    let listed = tx.last_backups().list(100).await.unwrap();
    let empty = LastBackup { resource, is_good: None, restore_point: None };
    assert!(listed.contains(&empty), "{listed:?}");
    for backup in [at(good.clone(), 10, Some(15)), at(good, 20, Some(26)), at(bad, 30, None)] {
        tx.backups().insert(&backup).await.unwrap();
    }
    let listed = tx.last_backups().list(100).await.unwrap();
    let one = listed.iter().find(|one| one.resource == resource).unwrap();
    assert_eq!(one.is_good, Some(false), "the newest failed");
    let point = one.restore_point.unwrap();
    assert_eq!((point.began, point.at), (Timestamp(20), Timestamp(26)));
}
