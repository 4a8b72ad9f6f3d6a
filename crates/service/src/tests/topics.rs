//! Topics, subscriptions and deliveries (MON-07).

use std::time::Duration;

use cbr_model::query::Page;
use cbr_model::topic::{Delivery, DeliveryStatus, Protocol, Text};
use cbr_task::harness::{Fault, crash_matrix};
use cbr_task::{Options, Outcome};

use super::world::World;
use crate::Error;
use crate::topics::{DeliverTask, NewSubscription, TopicError, Undelivered};

fn hook(name: &str) -> NewSubscription {
    let endpoint = format!("https://hooks.example.org/{name}");
    NewSubscription { protocol: Protocol::Https, endpoint, remark: String::new() }
}

fn text() -> Text {
    Text { subject: "hello".into(), body: "somebody".into() }
}

impl World {
    async fn deliveries(&self) -> Vec<Delivery> {
        let listed = self.services.topics.deliveries(&self.access, None, Page::default()).await;
        listed.unwrap().rows
    }

    /// One attempt of everything that is due.
    async fn attempt(&self) {
        self.services.courier_engine(Options::default()).run_due().await.unwrap();
    }
}

/// MON-07: nothing but the question is sent to who has not agreed, and only who got it can agree.
#[tokio::test]
async fn nobody_is_told_anything_before_agreeing() {
    let world = World::new().await;
    let topics = &world.services.topics;
    topics.create(&world.access, "ops", "").await.unwrap();
    let (made, secret) = topics.subscribe(&world.access, "ops", hook("a")).await.unwrap();
    assert_eq!(topics.publish(&world.access, "ops", text()).await.unwrap(), 0);
    world.attempt().await;
    let [letter] = world.courier.taken().try_into().unwrap();
    assert_eq!(letter.message.kind, "confirmation");
    assert!(letter.message.zh.is_some(), "in both languages");
    for wrong in ["", "x", secret.as_str()] {
        let refused = topics.confirm(made.id, wrong).await.unwrap_err();
        assert!(matches!(refused, Error::Topic(TopicError::NotFound { .. })), "{wrong}");
    }
    let token = letter.confirmation.unwrap().token;
    topics.confirm(made.id, &token).await.unwrap();
    topics.confirm(made.id, &token).await.unwrap();
    assert_eq!(topics.publish(&world.access, "ops", text()).await.unwrap(), 1);
    world.attempt().await;
    let [letter] = world.courier.taken().try_into().unwrap();
    assert_eq!(
        (letter.message.en.body.as_str(), letter.confirmation.is_none()),
        ("somebody", true)
    );
    assert_eq!(*letter.secret, *secret, "signed with what the project knows");
}

/// A question that is old is answered too late; an address is not asked without end.
#[tokio::test]
async fn questions_end_and_are_few() {
    let world = World::new().await;
    let topics = &world.services.topics;
    topics.create(&world.access, "ops", "").await.unwrap();
    for n in 0..5 {
        let (made, _) = topics.subscribe(&world.access, "ops", hook("a")).await.unwrap();
        if n < 4 {
            topics.unsubscribe(&world.access, made.id).await.unwrap();
        }
        world.attempt().await;
    }
    let last = world.courier.taken().pop().unwrap();
    topics.unsubscribe(&world.access, last.subscription).await.unwrap();
    let refused = topics.subscribe(&world.access, "ops", hook("a")).await.unwrap_err();
    assert!(matches!(refused, Error::Topic(TopicError::AskedOften(_))), "{refused}");
    topics.create(&world.access, "other", "").await.unwrap();
    topics.subscribe(&world.access, "other", hook("a")).await.unwrap_err();
    let url = hook("a").endpoint;
    for variant in [format!("{url}?n=1"), format!("{url}#n"), url.replace("example", "EXAMPLE")] {
        let wanted = NewSubscription { endpoint: variant, ..hook("a") };
        let refused = topics.subscribe(&world.access, "other", wanted).await.unwrap_err();
        assert!(matches!(refused, Error::Topic(TopicError::AskedOften(_))), "{refused}");
    }
    world.clock.advance(Duration::from_hours(25));
    let (made, _) = topics.subscribe(&world.access, "ops", hook("a")).await.unwrap();
    let again = topics.subscribe(&world.access, "ops", hook("a")).await.unwrap_err();
    assert!(matches!(again, Error::Topic(TopicError::Taken { .. })), "{again}");
    world.attempt().await;
    let letter = world.courier.taken().pop().unwrap();
    world.clock.advance(Duration::from_hours(73));
    let token = letter.confirmation.unwrap().token;
    let late = topics.confirm(made.id, &token).await.unwrap_err();
    assert!(matches!(late, Error::Topic(TopicError::Conflict(_))), "{late}");
}

/// MON-07: what is not taken is tried again, later and later, with the same id; then it is dead, and
/// somebody can try again.
#[tokio::test]
async fn what_is_not_taken_is_tried_again_and_then_dead() {
    let world = World::new().await;
    world.topic("ops").await;
    let topics = &world.services.topics;
    let later = || Undelivered::Later("busy".into());
    world.courier.fail(vec![later(), later()]);
    topics.publish(&world.access, "ops", text()).await.unwrap();
    world.attempt().await;
    let [waiting, _] = world.deliveries().await.try_into().unwrap();
    assert_eq!((waiting.status, waiting.attempts), (DeliveryStatus::Waiting, 1));
    assert_eq!(waiting.error.as_deref(), Some("busy"));
    world.attempt().await;
    assert_eq!(world.deliveries().await[0].attempts, 1, "not at once");
    world.settle().await;
    let sent = world.deliveries().await.remove(0);
    assert_eq!((sent.status, sent.attempts, sent.error), (DeliveryStatus::Sent, 3, None));
    assert_eq!(world.courier.taken()[0].id, waiting.id, "the same for all attempts");
    let refused = topics.retry(&world.access, waiting.id).await.unwrap_err();
    assert!(matches!(refused, Error::Topic(TopicError::Conflict(_))), "{refused}");

    world.courier.fail((0..9).map(|_| later()).collect());
    world.clock.advance(Duration::from_secs(1));
    topics.publish(&world.access, "ops", text()).await.unwrap();
    world.settle().await;
    let dead = world.deliveries().await.remove(0);
    assert_eq!((dead.status, dead.attempts), (DeliveryStatus::Dead, 9));
    topics.retry(&world.access, dead.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.courier.taken()[0].id, dead.id);

    world.courier.fail(vec![Undelivered::Never("gone".into())]);
    world.clock.advance(Duration::from_secs(1));
    topics.publish(&world.access, "ops", text()).await.unwrap();
    world.settle().await;
    let dead = world.deliveries().await.remove(0);
    assert_eq!((dead.status, dead.attempts), (DeliveryStatus::Dead, 1));
}

/// P3: wherever the process dies, a message is sent, and its row says so.
#[tokio::test]
async fn a_delivery_survives_a_crash_anywhere() {
    let make = async || {
        let world = World::new().await;
        world.topic("ops").await;
        world.courier.fail(vec![Undelivered::Later("busy".into())]);
        world.services.topics.publish(&world.access, "ops", text()).await.unwrap();
        let mut tx = world.db.read().await.unwrap();
        let [task] = tx.tasks().list_unfinished().await.unwrap().try_into().unwrap();
        drop(tx);
        world.with_task::<DeliverTask>(task.id)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        let delivery = world.deliveries().await.remove(0);
        let taken = world.courier.taken();
        if matches!(fault, Fault::CancelBefore(_)) {
            assert_eq!(delivery.status, DeliveryStatus::Dead, "{fault:?}");
            return;
        }
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        assert_eq!(delivery.status, DeliveryStatus::Sent, "{fault:?}");
        assert!(!taken.is_empty() && taken.iter().all(|one| one.id == delivery.id), "{fault:?}");
    })
    .await;
}
