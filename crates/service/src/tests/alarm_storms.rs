//! Many events at once: each is written down, and people are told of as many as they can read.

use std::time::Duration;

use cbr_model::alarm::{Condition, Watched};
use cbr_model::event::EventKind;
use cbr_model::query::Page;
use cbr_model::topic::Protocol;
use cbr_model::vault::VaultKind;

use super::alarms::{alarm, on};
use super::world::World;
use crate::topics::{NewSubscription, TopicChange, TopicError};
use crate::{Alarms, Error};

/// MON-08: a pause is kept however often the same happens in it, and a rule without one tells of a hundred
/// within an hour; the history has them all, and says why nobody was told.
#[tokio::test]
async fn a_storm_of_events_is_told_in_few_messages() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    world.topic("night").await;
    let pausing = Condition { suppress: 3600, ..on(EventKind::BackupFailed) };
    let pausing = world.rule(alarm(Watched::All, vec![pausing])).await;
    let plain = alarm(Watched::All, vec![on(EventKind::BackupFailed)]);
    let plain =
        world.rule(crate::alarms::NewAlarm { on_alarm: vec!["night".into()], ..plain }).await;
    for _ in 0..103 {
        world.clock.advance(Duration::from_secs(10));
        world.raise(EventKind::BackupFailed, vault.id).await;
    }
    let told = world.carried().await;
    let of = |topic: &str| told.iter().filter(|letter| letter.topic_name == topic).count();
    assert_eq!((of("ops"), of("night")), (1, 100));
    for (rule, why, count) in [(pausing, "short time ago", 102), (plain, "within an hour", 3)] {
        let history = world.history(rule.id).await;
        assert_eq!(history.len(), 103);
        let untold = history.iter().filter_map(|record| record.detail.untold.as_ref());
        assert_eq!(untold.filter(|text| text.contains(why)).count(), count, "{why}");
    }
    // An hour after the first, the next is told again.
    world.clock.advance(Duration::from_hours(1));
    world.raise(EventKind::BackupFailed, vault.id).await;
    assert_eq!(world.carried().await.len(), 2);
}

/// MON-08: of an event a rule tells each address once, whatever number of its conditions and topics lead
/// there, and whatever number of nodes look.
#[tokio::test]
async fn an_address_is_told_of_an_event_once() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    world.topic("ops").await;
    world.topic("night").await;
    let topics = &world.services.topics;
    let endpoint = "https://hooks.example.org/ops".to_owned();
    let wanted = NewSubscription { protocol: Protocol::Https, endpoint, remark: String::new() };
    let (made, _) = topics.subscribe(&world.access, "night", wanted).await.unwrap();
    world.settle().await;
    let [letter] = world.courier.taken().try_into().unwrap();
    topics.confirm(made.id, &letter.confirmation.unwrap().token).await.unwrap();
    let severe = Condition { level: 1, ..on(EventKind::BackupFailed) };
    let both = alarm(Watched::All, vec![on(EventKind::BackupFailed), severe]);
    let both = crate::alarms::NewAlarm { on_alarm: vec!["ops".into(), "night".into()], ..both };
    let rule = world.rule(both).await;
    world.event(EventKind::BackupFailed, vault.id).await;
    let other = Alarms::new(world.core());
    let (one, two) = tokio::join!(world.services.alarms.handle_events(), other.handle_events());
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    let told = world.carried().await;
    let mut topics: Vec<_> = told.iter().map(|letter| letter.endpoint.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["https://hooks.example.org/night", "https://hooks.example.org/ops"]);
    assert!(told.iter().all(|letter| letter.message.en.subject.starts_with("[critical]")));
    let history = world.history(rule.id).await;
    let untold = history.iter().filter(|record| record.detail.told == 0);
    assert_eq!((history.len(), untold.count()), (2, 1));
}

/// MON-10: so many topics take notices, since all of them are told at once.
#[tokio::test]
async fn ten_topics_take_notices() {
    let world = World::new().await;
    let topics = &world.services.topics;
    let takes = TopicChange { takes_notices: Some(true), ..TopicChange::default() };
    for n in 0..11 {
        let name = format!("t{n}");
        topics.create(&world.access, &name, "").await.unwrap();
        let changed = topics.update(&world.access, &name, takes.clone()).await;
        match changed {
            Ok(_) => assert!(n < 10, "{n}"),
            Err(error) => {
                assert!(matches!(error, Error::Topic(TopicError::TooMany { limit: 10, .. })));
                assert_eq!(n, 10);
            }
        }
    }
    topics.update(&world.access, "t0", takes).await.unwrap();
    assert_eq!(topics.list(&world.access, None, Page::default()).await.unwrap().total, 11);
}
