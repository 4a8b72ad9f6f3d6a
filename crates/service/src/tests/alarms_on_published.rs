//! Alarms on metrics that a project publishes itself: decided once for each quarter of an hour, told, and
//! over, like those on vaults (contract F.6, MON-06 … MON-09).

use std::time::Duration;

use cbr_env::Clock as _;
use cbr_model::alarm::{AlarmRule, AlarmState, Comparison, Condition, Watched, What, Window};
use cbr_model::custom_metric::{CustomMetric, CustomValue, MetricDimension};
use cbr_model::metric::{Filter, slot_at};
use cbr_model::vault::VaultKind;

use super::alarms::{alarm, usage};
use super::world::World;
use crate::Error;
use crate::alarms::{NewAlarm, NewTemplate};
use crate::topics::Letter;

const QUARTER: Duration = Duration::from_mins(15);
const WEEK: u32 = 604_800;

/// More than 100 open orders on average.
fn open_orders(count: u32) -> Condition {
    Condition {
        what: What::Published {
            namespace: "shop.orders".into(),
            name: "open".into(),
            unit: " orders".into(),
        },
        period: 300,
        filter: Filter::Average,
        comparison: Comparison::Greater,
        threshold: 100.0,
        ..usage(count)
    }
}

fn host(name: &str) -> Vec<MetricDimension> {
    vec![MetricDimension { name: "host".into(), value: name.into() }]
}

impl World {
    /// Publishes a value that was collected so many seconds ago.
    async fn publish(&self, host_name: &str, value: f64, ago: i64, ttl: u32) {
        let value = CustomValue {
            metric: CustomMetric::new("shop.orders".into(), "open".into(), host(host_name)),
            unit: String::new(),
            at: self.clock.now().plus_seconds(-ago),
            value,
            ttl,
        };
        self.services.monitoring.publish(&self.access, &[value]).await.unwrap();
    }

    /// Publishes a value of the quarter that is over, decides, and says who was told.
    async fn published_quarter(&self, values: &[(&str, f64)]) -> Vec<Letter> {
        self.clock.advance(QUARTER);
        for (host_name, value) in values {
            self.publish(host_name, *value, 300, WEEK).await;
        }
        self.decide_now().await;
        self.carried().await
    }

    async fn decide_now(&self) -> u64 {
        self.services.alarms.evaluate(slot_at(self.clock.now())).await.unwrap()
    }

    async fn state_of(&self, rule: &AlarmRule) -> AlarmState {
        self.services.alarms.show(&self.access, rule.id).await.unwrap().state
    }
}

/// A world whose clock stands three minutes after the beginning of a quarter.
async fn world() -> World {
    let world = World::new().await;
    let now = world.clock.now();
    let begin = (slot_at(now) + 1) * 900;
    world.clock.advance(Duration::from_secs(u64::try_from(begin - now.seconds()).unwrap() + 180));
    world
}

/// MON-07, MON-08: raised after its quarters in a row, told once in both languages, and told when it is over.
#[tokio::test]
async fn an_alarm_on_a_metric_of_ones_own_is_raised_told_and_recovers() {
    let world = world().await;
    world.topic("ops").await;
    let rule = world.rule(alarm(Watched::Things(vec![host("web-1")]), vec![open_orders(2)])).await;
    assert_eq!(world.published_quarter(&[("web-1", 150.0), ("web-2", 999.0)]).await.len(), 0);
    assert_eq!(world.state_of(&rule).await, AlarmState::Ok, "once is not twice");
    let told = world.published_quarter(&[("web-1", 120.0)]).await;
    let [letter] = told.as_slice() else { panic!("{told:?}") };
    let message = &letter.message;
    assert_eq!(message.kind, "alarm");
    assert!(message.en.body.contains("shop.orders, host:web-1"), "{}", message.en.body);
    assert!(message.en.body.contains("open > 100 orders"), "{}", message.en.body);
    assert!(message.zh.as_ref().unwrap().body.contains("自定义指标：shop.orders"));
    assert_eq!(message.particulars["value"], "120.00 orders");
    assert_eq!(message.particulars["namespace"], "shop.orders");
    assert!(!message.particulars.contains_key("vault_id"), "it is no vault");
    assert_eq!(world.published_quarter(&[("web-1", 130.0)]).await.len(), 0, "it goes on");
    assert_eq!(world.published_quarter(&[]).await.len(), 0, "a missing value says nothing");
    assert_eq!(world.state_of(&rule).await, AlarmState::Alarm);
    let told = world.published_quarter(&[("web-1", 100.0)]).await;
    assert_eq!(told.iter().map(|one| one.message.kind.as_str()).collect::<Vec<_>>(), ["recovery"]);
    let history = world.history(rule.id).await;
    let statuses: Vec<_> = history.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [AlarmState::Ok, AlarmState::Alarm], "newest first");
    assert_eq!(history[1].ended_at, Some(history[0].at));
    assert_eq!(history[1].detail.dimensions, host("web-1"));
    assert_eq!(
        (history[1].namespace(), history[1].resource.as_str()),
        ("shop.orders", "host:web-1")
    );
    assert_eq!(history[1].detail.values, [Some(150.0), Some(120.0)]);
}

/// MON-08: a quarter is decided when it is over and what belongs to it could come, with all that came, once,
/// whoever decides.
#[tokio::test]
async fn a_quarter_is_decided_when_it_is_over_and_once() {
    let world = World::new().await;
    world.topic("ops").await;
    world.rule(alarm(Watched::All, vec![open_orders(1)])).await;
    let now = world.clock.now();
    let begin = (slot_at(now) + 1) * 900 - now.seconds();
    world.clock.advance(Duration::from_secs(u64::try_from(begin).unwrap()));
    world.publish("web-1", 90.0, 0, WEEK).await;
    world.clock.advance(Duration::from_mins(10));
    world.publish("web-1", 130.0, 0, WEEK).await;
    assert_eq!(world.decide_now().await, 1, "the quarter before, in which nothing came");
    world.clock.advance(Duration::from_mins(6));
    assert_eq!(world.decide_now().await, 0, "a minute after its end more of it may come");
    world.publish("web-1", 140.0, 90, WEEK).await;
    world.clock.advance(Duration::from_mins(1));
    let other = crate::Alarms::new(world.core());
    let slot = slot_at(world.clock.now());
    let (one, two) = tokio::join!(world.services.alarms.evaluate(slot), other.evaluate(slot));
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    let [letter] = world.carried().await.try_into().unwrap();
    assert_eq!(letter.message.particulars["value"], "120.00 orders", "the mean of all three");
    let again = crate::Alarms::new(world.core()).evaluate(slot).await.unwrap();
    assert_eq!(again, 0, "after a restart");
}

/// MON-07, MON-09: a rule for all has whatever publishes the metric, from when it does; what publishes no more
/// is not known, and an alarm about it does not stay for ever.
#[tokio::test]
async fn a_rule_for_all_follows_what_publishes() {
    let world = world().await;
    world.topic("ops").await;
    let rule = world.rule(alarm(Watched::All, vec![open_orders(1)])).await;
    assert_eq!(world.published_quarter(&[("web-1", 1.0)]).await.len(), 0);
    let told = world.published_quarter(&[("web-1", 1.0), ("web-2", 200.0)]).await;
    let about: Vec<_> =
        told.iter().map(|one| one.message.particulars["dimensions"].as_str()).collect();
    assert_eq!(about, ["host:web-2"]);
    assert_eq!(world.state_of(&rule).await, AlarmState::Alarm);
    world.clock.advance(Duration::from_hours(24 * 8));
    world.services.monitoring.forget_published().await.unwrap();
    world.decide_now().await;
    assert_eq!(world.state_of(&rule).await, AlarmState::InsufficientData);
    assert_eq!(world.carried().await.len(), 0, "nobody is told that nothing is known");
    world.clock.advance(QUARTER);
    assert_eq!(world.decide_now().await, 0, "what is gone is decided once more, not for ever");
}

/// MON-08: an alarm on a vault that was deleted does not stay for ever either.
#[tokio::test]
async fn an_alarm_on_a_deleted_vault_ends_in_ignorance() {
    let world = World::new().await;
    world.topic("ops").await;
    let vault = world.vault(VaultKind::Disk, &[]).await;
    let rule =
        world.rule(alarm(Watched::All, vec![Condition { threshold: 0.0, ..usage(1) }])).await;
    world.services.monitoring.sample(slot_at(world.clock.now())).await.unwrap();
    world.decide_now().await;
    assert_eq!(world.state_of(&rule).await, AlarmState::Alarm);
    world.services.vaults.delete(&world.access, vault.id).await.unwrap();
    world.settle().await;
    world.clock.advance(QUARTER);
    world.decide_now().await;
    assert_eq!(world.state_of(&rule).await, AlarmState::InsufficientData);
}

/// MON-07: outside the time of notifications nobody is told; another project's values are not its.
#[tokio::test]
async fn windows_hold_for_metrics_of_ones_own() {
    let world = world().await;
    world.topic("ops").await;
    // The clock of the tests stands between 11 and 12 UTC.
    let window = Window::new(Some("00:00"), Some("08:00"), None).unwrap();
    let night = world.rule(NewAlarm { window, ..alarm(Watched::All, vec![open_orders(1)]) }).await;
    assert_eq!(world.published_quarter(&[("web-1", 150.0)]).await.len(), 0);
    let [record] = world.history(night.id).await.try_into().unwrap();
    assert!(record.detail.untold.unwrap().contains("00:00-08:00"));
}

/// MON-09: a template of conditions on metrics of one's own makes rules; what does not fit together is refused.
#[tokio::test]
async fn templates_and_refusals_of_metrics_of_ones_own() {
    let world = world().await;
    world.topic("ops").await;
    let (alarms, access) = (&world.services.alarms, &world.access);
    let wanted = NewTemplate {
        name: "orders".into(),
        description: String::new(),
        conditions: vec![open_orders(1)],
    };
    let template = alarms.create_template(access, wanted).await.unwrap();
    let web = || Watched::Things(vec![host("web-1")]);
    let from = |watched| NewAlarm { template: Some(template.id), ..alarm(watched, vec![]) };
    let rule = world.rule(from(web())).await;
    assert_eq!(rule.conditions, [open_orders(1)]);
    assert_eq!(world.published_quarter(&[("web-1", 150.0)]).await.len(), 1);
    let vault = world.vault(VaultKind::Disk, &[]).await.id;
    let other = Condition {
        what: What::Published {
            namespace: "shop.other".into(),
            name: "open".into(),
            unit: String::new(),
        },
        ..open_orders(1)
    };
    let nameless = vec![MetricDimension { name: String::new(), value: "x".into() }];
    for (bad, field) in [
        (from(Watched::Vaults(vec![vault])), "resources"),
        (alarm(web(), vec![usage(1)]), "resources"),
        (alarm(Watched::Things(vec![]), vec![open_orders(1)]), "resources"),
        (alarm(Watched::Things(vec![nameless]), vec![open_orders(1)]), "dimensions.name"),
        (alarm(Watched::All, vec![open_orders(1), usage(1)]), "policies"),
        (alarm(Watched::All, vec![open_orders(1), other]), "policies"),
    ] {
        let error = alarms.create(access, bad).await.unwrap_err();
        let Error::Invalid { field: key, .. } = &error else { panic!("{error}") };
        assert_eq!(*key, field, "{error}");
    }
}
