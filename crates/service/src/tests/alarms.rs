//! Alarms on metrics and events, decided once, told to whom it concerns (MON-06 … MON-10).

use std::time::Duration;

use cbr_db::MeasuredVault;
use cbr_env::Clock as _;
use cbr_model::alarm::{
    AlarmRecord, AlarmRule, AlarmState, Comparison, Condition, Watched, What, Window,
};
use cbr_model::event::{CbrEvent, EventKind};
use cbr_model::metric::{Filter, Metric, measured, slot_at};
use cbr_model::query::Page;
use cbr_model::size::{Bytes, GIB};
use cbr_model::topic::Protocol;
use cbr_model::vault::{Vault, VaultKind};
use cbr_model::{AlarmId, EventId, VaultId};

use super::world::{VOLUME, World};
use crate::alarms::{AlarmChange, NewAlarm, RecordFilter};
use crate::topics::{Letter, NewSubscription, TopicChange};

const QUARTER: Duration = Duration::from_mins(15);

/// At least 80 per cent, measured once.
pub(super) fn usage(count: u32) -> Condition {
    Condition {
        what: What::Metric(Metric::VaultUtil),
        period: 1,
        filter: Filter::Average,
        comparison: Comparison::AtLeast,
        threshold: 80.0,
        count,
        suppress: 0,
        level: 2,
    }
}

pub(super) fn on(kind: EventKind) -> Condition {
    Condition { what: What::Event(kind), period: 0, threshold: 1.0, ..usage(1) }
}

pub(super) fn alarm(watched: Watched, conditions: Vec<Condition>) -> NewAlarm {
    NewAlarm {
        name: Some("full".into()),
        description: String::new(),
        watched,
        conditions,
        template: None,
        enabled: true,
        notifies: true,
        on_alarm: vec!["ops".into()],
        on_recovery: vec!["ops".into()],
        window: Window::default(),
        enterprise_project: "0".into(),
    }
}

impl World {
    /// A topic with one confirmed webhook.
    pub(super) async fn topic(&self, name: &str) {
        let topics = &self.services.topics;
        topics.create(&self.access, name, "").await.unwrap();
        let endpoint = format!("https://hooks.example.org/{name}");
        let wanted = NewSubscription { protocol: Protocol::Https, endpoint, remark: String::new() };
        let (made, _) = topics.subscribe(&self.access, name, wanted).await.unwrap();
        self.settle().await;
        let [letter] = self.courier.taken().try_into().unwrap();
        let token = letter.confirmation.unwrap().token;
        topics.confirm(made.id, &token).await.unwrap();
        // What is sent next is later, so that lists have one order.
        self.clock.advance(Duration::from_secs(1));
    }

    pub(super) async fn rule(&self, wanted: NewAlarm) -> AlarmRule {
        self.services.alarms.create(&self.access, wanted).await.unwrap()
    }

    /// Pretends that the vault was measured now with so many GB of its 100.
    async fn measured_as(&self, vault: &Vault, gib: u64) {
        let slot = slot_at(self.clock.now());
        let mut tx = self.db.begin().await.unwrap();
        let summaries = measured(Bytes(gib * GIB), vault.size);
        let found = MeasuredVault { project: vault.project, vault: vault.id, summaries };
        assert!(!tx.vault_points().record(slot, &[found]).await.unwrap().is_empty());
        tx.commit().await.unwrap();
    }

    /// A quarter of an hour later: measured, decided, told.
    async fn quarter(&self, vault: &Vault, gib: Option<u64>) -> Vec<Letter> {
        self.clock.advance(QUARTER);
        if let Some(gib) = gib {
            self.measured_as(vault, gib).await;
        }
        self.services.alarms.evaluate(slot_at(self.clock.now())).await.unwrap();
        self.carried().await
    }

    pub(super) async fn carried(&self) -> Vec<Letter> {
        self.services.courier_engine(cbr_task::Options::default()).run_due().await.unwrap();
        self.courier.taken()
    }

    pub(super) async fn history(&self, alarm: AlarmId) -> Vec<AlarmRecord> {
        let filter = RecordFilter { alarms: vec![alarm], ..RecordFilter::default() };
        let listed = self.services.alarms.history(&self.access, &filter, Page::default()).await;
        listed.unwrap().rows
    }

    pub(super) async fn events(&self) -> Vec<CbrEvent> {
        let listed = self.services.alarms.events(&self.access, None, Page::default()).await;
        listed.unwrap().rows
    }

    pub(super) async fn raise(&self, kind: EventKind, vault: VaultId) {
        self.event(kind, vault).await;
        assert_eq!(self.services.alarms.handle_events().await.unwrap(), 1);
        assert_eq!(self.services.alarms.handle_events().await.unwrap(), 0, "once");
    }

    /// Something happens, and nobody has looked at it yet.
    pub(super) async fn event(&self, kind: EventKind, vault: VaultId) {
        let event = CbrEvent {
            id: EventId::random(&cbr_env::SystemRandom::default()),
            project: self.access.project(),
            kind,
            vault: Some(vault),
            resource: Some("r-1".into()),
            resource_name: "web".into(),
            detail: "the disk is on fire".into(),
            at: self.clock.now(),
        };
        let mut tx = self.db.begin().await.unwrap();
        tx.events().insert(&event).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// MON-07, MON-08: raised after its periods in a row, told once, and told again when it is over.
#[tokio::test]
async fn an_alarm_is_raised_told_and_recovers() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    let rule = world.rule(alarm(Watched::Vaults(vec![vault.id]), vec![usage(2)])).await;
    let state = async || world.services.alarms.show(&world.access, rule.id).await.unwrap().state;
    assert_eq!(state().await, AlarmState::InsufficientData);

    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 0, "once is not twice");
    assert_eq!(state().await, AlarmState::Ok);
    let told = world.quarter(&vault, Some(90)).await;
    let [letter] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(letter.message.kind, "alarm");
    assert!(letter.message.en.subject.contains("full"), "{}", letter.message.en.subject);
    assert!(letter.message.zh.as_ref().unwrap().subject.contains("告警"));
    assert_eq!(letter.message.particulars["value"], "90.00%");
    assert_eq!(state().await, AlarmState::Alarm);
    assert_eq!(world.quarter(&vault, Some(95)).await.len(), 0, "it goes on");
    assert_eq!(world.quarter(&vault, None).await.len(), 0, "a missing value says nothing");
    let told = world.quarter(&vault, Some(10)).await;
    assert_eq!(told.iter().map(|one| one.message.kind.as_str()).collect::<Vec<_>>(), ["recovery"]);
    assert_eq!(state().await, AlarmState::Ok);

    let history = world.history(rule.id).await;
    let statuses: Vec<_> = history.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [AlarmState::Ok, AlarmState::Alarm], "newest first");
    assert_eq!(history[1].ended_at, Some(history[0].at));
    assert_eq!((history[0].detail.told, history[1].detail.told), (1, 1));
}

/// MON-08: whoever decides, and however often, a slot is decided once.
#[tokio::test]
async fn two_nodes_decide_a_slot_once() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    world.rule(alarm(Watched::All, vec![usage(1)])).await;
    let other = crate::Alarms::new(world.core());
    world.measured_as(&vault, 90).await;
    let slot = slot_at(world.clock.now());
    let (one, two) = tokio::join!(world.services.alarms.evaluate(slot), other.evaluate(slot));
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    assert_eq!(world.carried().await.len(), 1);
    let again = crate::Alarms::new(world.core()).evaluate(slot).await.unwrap();
    assert_eq!(again, 0, "after a restart");
}

/// MON-07: outside of its time nobody is told, and the history says why.
#[tokio::test]
async fn outside_its_window_and_switched_off_nobody_is_told() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    // The clock of the tests stands at 11:06 UTC.
    let window = Window::new(Some("00:00"), Some("08:00"), None).unwrap();
    let all = Watched::All;
    let night = world.rule(NewAlarm { window, ..alarm(all.clone(), vec![usage(1)]) }).await;
    let silent =
        world.rule(NewAlarm { notifies: false, ..alarm(all.clone(), vec![usage(1)]) }).await;
    let off = world.rule(NewAlarm { enabled: false, ..alarm(all, vec![usage(1)]) }).await;
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 0);
    let [record] = world.history(night.id).await.try_into().unwrap();
    assert!(record.detail.untold.unwrap().contains("00:00-08:00"));
    let [record] = world.history(silent.id).await.try_into().unwrap();
    assert!(record.detail.untold.unwrap().contains("off"));
    assert_eq!(world.history(off.id).await.len(), 0);
    world.services.alarms.enable(&world.access, vec![off.id], true).await.unwrap();
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 1);
}

/// MON-07: an alarm that was raised outside the time of notifications is told when that begins, once; and
/// nobody hears that one is over of which nobody was told.
#[tokio::test]
async fn what_was_raised_at_night_is_told_in_the_morning() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    // The clock of the tests stands at 11:06 UTC.
    let window = Window::new(Some("12:00"), Some("20:00"), None).unwrap();
    world.rule(NewAlarm { window, ..alarm(Watched::All, vec![usage(1)]) }).await;
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 0, "11:21");
    assert_eq!(world.quarter(&vault, Some(10)).await.len(), 0, "over before anybody was told");
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 0, "11:51");
    let told = world.quarter(&vault, Some(90)).await;
    let kinds: Vec<_> = told.iter().map(|one| one.message.kind.as_str()).collect();
    assert_eq!(kinds, ["alarm"], "12:06");
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 0, "once");
    let told = world.quarter(&vault, Some(10)).await;
    let kinds: Vec<_> = told.iter().map(|one| one.message.kind.as_str()).collect();
    assert_eq!(kinds, ["recovery"]);
}

/// Contract F.6: an alarm that goes on is told again after its pause; one whose vault is gone has no data.
#[tokio::test]
async fn an_alarm_that_goes_on_is_told_again_and_ends_in_ignorance() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    let condition = Condition { suppress: 1800, ..usage(1) };
    let rule = world.rule(alarm(Watched::Vaults(vec![vault.id]), vec![condition])).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(world.quarter(&vault, Some(90)).await.len());
    }
    assert_eq!(told, [1, 0, 1, 0, 1]);
    assert_eq!(world.history(rule.id).await.len(), 1, "one alarm");
    world.quarter(&vault, None).await;
    let view = world.services.alarms.show(&world.access, rule.id).await.unwrap();
    assert_eq!(view.state, AlarmState::InsufficientData);
    let told = world.quarter(&vault, Some(10)).await;
    assert_eq!(told[0].message.kind, "recovery", "who was told of it hears of its end");
}

/// A rule with other conditions begins anew; one with another name does not.
#[tokio::test]
async fn a_changed_rule_begins_anew() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    let rule = world.rule(alarm(Watched::All, vec![usage(1)])).await;
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 1);
    let alarms = &world.services.alarms;
    let renamed = AlarmChange { name: Some("other".into()), ..AlarmChange::default() };
    alarms.update(&world.access, rule.id, renamed).await.unwrap();
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 0, "still the same alarm");
    let stricter = Condition { threshold: 70.0, ..usage(1) };
    let change = AlarmChange { conditions: Some(vec![stricter]), ..AlarmChange::default() };
    alarms.update(&world.access, rule.id, change).await.unwrap();
    assert!(world.history(rule.id).await.iter().all(|one| one.ended_at.is_some()));
    assert_eq!(world.quarter(&vault, Some(90)).await.len(), 1);
    alarms.delete(&world.access, vec![rule.id]).await.unwrap();
    assert_eq!(world.history(rule.id).await.len(), 2, "the history stays");
}

/// MON-08: events raise alarms of the rules that name them and their vault.
#[tokio::test]
async fn events_raise_alarms_once() {
    let world = World::new().await;
    let [vault, other] =
        [world.vault(VaultKind::Disk, &[]).await, world.vault(VaultKind::Disk, &[]).await];
    world.topic("ops").await;
    let pausing = Condition { suppress: 3600, ..on(EventKind::BackupFailed) };
    let rule = world.rule(alarm(Watched::All, vec![pausing, on(EventKind::RunMissed)])).await;
    let named = Watched::Vaults(vec![other.id]);
    let others = world.rule(alarm(named, vec![on(EventKind::BackupFailed)])).await;
    world.raise(EventKind::BackupFailed, vault.id).await;
    let told = world.carried().await;
    let [letter] = told.as_slice() else { panic!("{told:?}") };
    assert!(letter.message.en.body.contains("the disk is on fire"));
    assert!(letter.message.zh.as_ref().unwrap().subject.contains("备份失败"));
    assert_eq!(world.history(others.id).await.len(), 0, "another vault's");

    world.clock.advance(QUARTER);
    world.raise(EventKind::BackupFailed, vault.id).await;
    assert_eq!(world.carried().await.len(), 0, "told a short time ago");
    let history = world.history(rule.id).await;
    assert_eq!(history.len(), 2);
    assert!(history[0].detail.untold.as_ref().unwrap().contains("short time ago"));
    world.clock.advance(Duration::from_hours(1));
    world.raise(EventKind::BackupFailed, vault.id).await;
    assert_eq!(world.carried().await.len(), 1);
    world.raise(EventKind::DamageFound, vault.id).await;
    assert_eq!(world.carried().await.len(), 0, "nobody asked for it");
}

/// MON-08: a backup that fails is an event, written with its failure.
#[tokio::test]
async fn a_failed_backup_is_an_event() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.start(&vault, true).await.unwrap();
    let task = world.waiting().await;
    world.services.operations.cancel(&world.access, task).await.unwrap();
    world.settle().await;
    let [event] = world.events().await.try_into().unwrap();
    assert_eq!((event.kind, event.vault), (EventKind::BackupFailed, Some(vault.id)));
    assert_eq!(event.resource_name, "one");
}

/// MON-10: a vault that reaches its threshold is told of once for each crossing, if that is wanted.
#[tokio::test]
async fn a_threshold_is_told_once_for_each_crossing() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.topic("ops").await;
    let topics = &world.services.topics;
    let change = TopicChange { takes_notices: Some(true), ..TopicChange::default() };
    topics.update(&world.access, "ops", change).await.unwrap();
    let of_gib = async |size: u64, smn_notify: bool| {
        let mut tx = world.db.begin().await.unwrap();
        let vault = Vault {
            size: cbr_model::size::Gib(size),
            threshold: 1,
            smn_notify,
            ..tx.vaults().find(vault.project, vault.id).await.unwrap().unwrap()
        };
        // As if the backups in it had so many hundredths of that size.
        let full = Vault { used: Bytes(size * GIB / 50), ..vault.clone() };
        let empty = Vault { used: Bytes(0), ..vault.clone() };
        assert!(tx.vaults().update(&vault).await.unwrap());
        for one in [&full, &full, &empty, &full, &empty] {
            crate::alarms::note_usage(&mut tx, std::slice::from_ref(one)).await.unwrap();
        }
        tx.commit().await.unwrap();
        world.services.alarms.handle_events().await.unwrap();
        let told = world.carried().await;
        world.clock.advance(QUARTER);
        told
    };
    let told = of_gib(100, true).await;
    assert_eq!(told.len(), 1, "two crossings in one transaction are one event: {told:?}");
    assert_eq!(told[0].message.kind, "notice");
    assert!(told[0].message.zh.as_ref().unwrap().subject.contains("阈值"));
    assert_eq!(of_gib(100, true).await.len(), 1, "and again");
    assert_eq!(of_gib(100, false).await.len(), 0, "not wanted");
    assert_eq!(world.events().await.len(), 3, "but known");
}

/// MON-08: what follows from an event is what the rule says now, not what it said when the event was found:
/// other people, nothing any more, switched off, removed.
#[tokio::test]
async fn a_rule_that_was_edited_meanwhile_is_followed_as_it_is_now() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    world.topic("night").await;
    let (alarms, access) = (&world.services.alarms, &world.access);
    let found = world.rule(alarm(Watched::All, vec![on(EventKind::BackupFailed)])).await;
    let change = async |change| alarms.update(access, found.id, change).await.unwrap();
    let follow = async || {
        world.clock.advance(Duration::from_secs(1));
        world.event(EventKind::BackupFailed, vault.id).await;
        let event = world.events().await.remove(0);
        alarms.follow(&found, &event).await.unwrap();
        world.carried().await
    };
    let (on_alarm, level) = (Some(vec!["night".to_owned()]), Some(1));
    change(AlarmChange { on_alarm, level, ..AlarmChange::default() }).await;
    let told = follow().await;
    let topics: Vec<_> = told.iter().map(|letter| letter.topic_name.as_str()).collect();
    assert_eq!(topics, ["night"]);
    assert_eq!(world.history(found.id).await[0].level, 1);

    let conditions = Some(vec![on(EventKind::RunMissed)]);
    change(AlarmChange { conditions, ..AlarmChange::default() }).await;
    assert_eq!(follow().await.len(), 0, "it is about something else now");
    let conditions = Some(vec![on(EventKind::BackupFailed)]);
    change(AlarmChange { conditions, ..AlarmChange::default() }).await;
    alarms.enable(access, vec![found.id], false).await.unwrap();
    assert_eq!(follow().await.len(), 0, "it is switched off");
    alarms.enable(access, vec![found.id], true).await.unwrap();
    assert_eq!(follow().await.len(), 1);
    alarms.delete(access, vec![found.id]).await.unwrap();
    assert_eq!(follow().await.len(), 0, "it is gone");
    assert_eq!(world.history(found.id).await.len(), 2);
}

/// MON-02: every vault is measured once in a slot, however many pages they are.
#[tokio::test]
async fn all_vaults_are_measured_once() {
    const MANY: u64 = 2 * cbr_db::MEASURED_MAX as u64 + 7;
    let world = World::new().await;
    let model = world.vault(VaultKind::Disk, &[]).await;
    let mut tx = world.db.begin().await.unwrap();
    for n in 1..u128::from(MANY) {
        let id = VaultId::from_uuid(uuid::Uuid::from_u128(n));
        tx.vaults().insert(&Vault { id, ..model.clone() }).await.unwrap();
    }
    tx.commit().await.unwrap();
    let slot = slot_at(world.clock.now());
    assert_eq!(world.services.monitoring.sample(slot).await.unwrap(), MANY);
    assert_eq!(world.services.monitoring.sample(slot).await.unwrap(), 0);
    assert_eq!(world.services.monitoring.sample(slot + 1).await.unwrap(), MANY);
}
