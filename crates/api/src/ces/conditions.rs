//! Conditions, receivers and windows of alarms on the wire (contract F.6).

use cbr_model::alarm::{Comparison, Condition, What, Window};
use cbr_model::event::EventKind;
use cbr_model::metric::{Filter, Metric, NAMESPACE};
use cbr_model::topic::Topic;
use cbr_model::{ProjectId, TopicId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::is_custom;
use crate::error::ApiError;
use crate::smn::urn;

/// The level when nothing is said.
const LEVEL: u8 = 2;
/// The only kind of receiver.
const NOTIFICATION: &str = "notification";

/// A condition. What is left out is the usual: the average of what is measured, once, level 2.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = AlarmPolicy)]
pub(super) struct WantedCondition {
    /// A metric, of vaults or of your own, or an event: `backupFailed`, `vaultFull`, `vaultThreshold`, `runMissed`, `damageFound`,
    /// `suspiciousBackup`.
    pub(super) metric_name: Option<String>,
    /// As the rule has it.
    pub(super) namespace: Option<String>,
    /// Seconds: 0 (events), 1, 300, 1200, 3600, 14400 or 86400.
    pub(super) period: Option<u32>,
    pub(super) filter: Option<String>,
    /// `>`, `>=`, `<`, `<=`, `=` or `!=`
    pub(super) comparison_operator: Option<String>,
    pub(super) value: Option<f64>,
    /// `GB` or `%`, as the metric has it; of one of your own, what it counts in.
    pub(super) unit: Option<String>,
    /// In so many periods in a row.
    pub(super) count: Option<u32>,
    /// Seconds after which an alarm that goes on is told again; 0: once.
    pub(super) suppress_duration: Option<u32>,
    /// 1 (critical) to 4 (informational).
    #[serde(alias = "alarm_level")]
    pub(super) level: Option<u8>,
}

impl WantedCondition {
    /// The condition, of a rule about something of `namespace`.
    pub(super) fn read(&self, on_events: bool, namespace: &str) -> Result<Condition, ApiError> {
        if self.namespace.as_deref().is_some_and(|own| own != namespace) {
            let why = format_args!("the rule is about `{namespace}`");
            return Err(ApiError::invalid("namespace", why));
        }
        let what = self.what(on_events, namespace)?;
        let filter = self.filter.as_deref().unwrap_or("average");
        let filter = Filter::from_str_exact(filter)
            .ok_or_else(|| ApiError::invalid("filter", "average, max, min, sum or variance"))?;
        let comparison = self.comparison_operator.as_deref().unwrap_or(">=");
        let comparison = Comparison::from_str_exact(comparison)
            .ok_or_else(|| ApiError::invalid("comparison_operator", ">, >=, <, <=, = or !="))?;
        let threshold = match (self.value, on_events) {
            (Some(value), _) => value,
            (None, true) => 1.0,
            (None, false) => return Err(ApiError::invalid("value", "it is needed")),
        };
        Ok(Condition {
            what,
            period: self.period.unwrap_or(u32::from(!on_events)),
            filter,
            comparison,
            threshold,
            count: self.count.unwrap_or(1),
            suppress: self.suppress_duration.unwrap_or(0),
            level: self.level.unwrap_or(LEVEL),
        })
    }

    fn what(&self, on_events: bool, namespace: &str) -> Result<What, ApiError> {
        let name = self.metric_name.as_deref().unwrap_or("");
        let unit = self.unit.as_deref().unwrap_or("");
        if namespace != NAMESPACE {
            let [namespace, name, unit] = [namespace, name, unit].map(str::to_owned);
            return Ok(What::Published { namespace, name, unit });
        }
        if on_events {
            return EventKind::from_str_exact(name).map(What::Event).ok_or_else(|| unknown(true));
        }
        let metric = Metric::from_str_exact(name).ok_or_else(|| unknown(false))?;
        if !unit.is_empty() && unit != metric.unit() {
            let why = format_args!("{} is in {}", metric.as_str(), metric.unit());
            return Err(ApiError::invalid("unit", why));
        }
        Ok(What::Metric(metric))
    }
}

/// Refuses what no rule can be about.
pub(super) fn check_namespace(namespace: &str, on_events: bool) -> Result<(), ApiError> {
    if namespace == NAMESPACE || (is_custom(namespace) && !on_events) {
        return Ok(());
    }
    if on_events {
        return Err(ApiError::invalid(
            "namespace",
            format_args!("events are those of `{NAMESPACE}`"),
        ));
    }
    let why = format_args!("`{NAMESPACE}`, or one that is not of a service (`SYS.`)");
    Err(ApiError::invalid("namespace", why))
}

fn unknown(on_events: bool) -> ApiError {
    let known = if on_events {
        EventKind::ALL.map(EventKind::as_str).join(", ")
    } else {
        Metric::ALL.map(Metric::as_str).join(", ")
    };
    ApiError::invalid("metric_name", format_args!("one of {known}"))
}

/// A condition as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShownAlarmPolicy)]
pub(super) struct ShownCondition {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name: Option<String>,
    period: u32,
    filter: &'static str,
    comparison_operator: &'static str,
    value: f64,
    unit: String,
    count: u32,
    suppress_duration: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_level: Option<u8>,
}

impl ShownCondition {
    /// With the name of the metric, as rules show it.
    pub(super) fn named(condition: &Condition) -> Self {
        Self {
            namespace: Some(condition.what.namespace().to_owned()),
            metric_name: Some(condition.what.as_str().to_owned()),
            level: Some(condition.level),
            ..Self::bare(condition)
        }
    }

    /// As templates show it.
    pub(super) fn of_template(condition: &Condition) -> Self {
        let level = Some(condition.level);
        Self { level: None, alarm_level: level, ..Self::named(condition) }
    }

    /// Without it, where it stands beside.
    pub(super) fn bare(condition: &Condition) -> Self {
        Self {
            namespace: None,
            metric_name: None,
            period: condition.period,
            filter: condition.filter.as_str(),
            comparison_operator: condition.comparison.as_str(),
            value: condition.threshold,
            unit: match condition.what {
                What::Event(_) => "count".to_owned(),
                _ => condition.what.unit().to_owned(),
            },
            count: condition.count,
            suppress_duration: condition.suppress,
            level: None,
            alarm_level: None,
        }
    }
}

/// Who is told, as clients say it: some wrap the list once more.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = WantedNotifications)]
pub(super) enum Wanted {
    /// Receivers.
    One(Receivers),
    /// Lists of receivers.
    Many(Vec<Receivers>),
}

/// Receivers of a kind.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AlarmReceivers)]
pub(super) struct Receivers {
    /// `notification`
    #[serde(rename = "type")]
    kind: String,
    /// URNs of topics.
    #[serde(alias = "notificationList")]
    notification_list: Vec<String>,
}

/// The names of the topics that are told.
pub(super) fn topics(
    key: &str,
    wanted: &[Wanted],
    project: ProjectId,
) -> Result<Vec<String>, ApiError> {
    let lists = wanted.iter().map(|one| match one {
        Wanted::One(receivers) => std::slice::from_ref(receivers),
        Wanted::Many(many) => many.as_slice(),
    });
    let mut names = Vec::new();
    for receivers in lists.flatten() {
        if receivers.kind != NOTIFICATION {
            let why = "the type is `notification`: topics are told, nothing is started";
            return Err(ApiError::invalid(key, why));
        }
        for text in &receivers.notification_list {
            names.push(urn::topic(text, project)?);
        }
    }
    Ok(names)
}

/// The topics of these ids as receivers.
pub(super) fn receivers(ids: &[TopicId], topics: &[Topic], region: &str) -> Vec<Receivers> {
    let known = ids.iter().filter_map(|id| topics.iter().find(|topic| topic.id == *id));
    let list: Vec<String> = known.map(|topic| urn::of_topic(topic, region)).collect();
    if list.is_empty() {
        return Vec::new();
    }
    vec![Receivers { kind: NOTIFICATION.to_owned(), notification_list: list }]
}

/// The same with the older API's name of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmActions)]
pub(super) struct Actions {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "notificationList")]
    notification_list: Vec<String>,
}

impl From<Receivers> for Actions {
    fn from(one: Receivers) -> Self {
        Self { kind: one.kind, notification_list: one.notification_list }
    }
}

/// At which times somebody is told.
pub(super) fn window(
    begin: Option<&str>,
    end: Option<&str>,
    zone: Option<&str>,
) -> Result<Window, ApiError> {
    let key = "notification_begin_time";
    Window::new(begin, end, zone).map_err(|invalid| ApiError::invalid(key, invalid))
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    fn read(text: &str, on_events: bool) -> Result<Condition, ApiError> {
        serde_json::from_str::<WantedCondition>(text).unwrap().read(on_events, NAMESPACE)
    }

    /// Contract F.6: the usual values of what is left out.
    #[test]
    fn what_is_left_out_is_the_usual() {
        let condition = read(r#"{"metric_name":"vault_util","value":80}"#, false).unwrap();
        assert_eq!((condition.period, condition.count, condition.level), (1, 1, 2));
        assert_eq!(
            (condition.filter, condition.comparison),
            (Filter::Average, Comparison::AtLeast)
        );
        let event = read(r#"{"metric_name":"backupFailed"}"#, true).unwrap();
        assert_eq!((&event.what, event.period), (&What::Event(EventKind::BackupFailed), 0));
        event.check().unwrap();
        for (bad, on_events) in [
            (r#"{"metric_name":"vault_util"}"#, false),
            (r#"{"metric_name":"backupFailed","value":1}"#, false),
            (r#"{"metric_name":"vault_util","value":1}"#, true),
            (r#"{"metric_name":"vault_util","value":1,"unit":"GB"}"#, false),
            (r#"{"metric_name":"vault_util","value":1,"namespace":"SYS.ECS"}"#, false),
            (r#"{"metric_name":"vault_util","value":1,"filter":"mean"}"#, false),
            (r#"{"metric_name":"vault_util","value":1,"comparison_operator":"~"}"#, false),
        ] {
            assert_eq!(read(bad, on_events).unwrap_err().status(), 400, "{bad}");
        }
    }

    /// Contract F.6: a metric of one's own has the unit that is said, and the namespace of its rule.
    #[test]
    fn a_metric_of_ones_own_is_named_with_its_namespace() {
        let text = r#"{"metric_name":"open","value":5,"unit":"orders"}"#;
        let wanted: WantedCondition = serde_json::from_str(text).unwrap();
        let condition = wanted.read(false, "shop.orders").unwrap();
        let shown = ShownCondition::named(&condition);
        assert_eq!(shown.namespace.as_deref(), Some("shop.orders"));
        assert_eq!((shown.metric_name.as_deref(), shown.unit.as_str()), (Some("open"), "orders"));
        let other = WantedCondition { namespace: Some(NAMESPACE.into()), ..wanted.clone() };
        assert_eq!(other.read(false, "shop.orders").unwrap_err().status(), 400);
        for (namespace, on_events, is_good) in [
            (NAMESPACE, true, true),
            ("shop.orders", false, true),
            ("shop.orders", true, false),
            ("SYS.ECS", false, false),
        ] {
            assert_eq!(check_namespace(namespace, on_events).is_ok(), is_good, "{namespace}");
        }
    }

    #[test]
    fn receivers_are_topics_of_the_project_however_often_they_are_wrapped() {
        let project = ProjectId::random(&SeededRandom::new(1));
        let urn = format!("urn:smn:local-1:{project}:ops");
        for text in [
            format!(r#"[{{"type":"notification","notificationList":["{urn}"]}}]"#),
            format!(r#"[[{{"type":"notification","notification_list":["{urn}"]}}]]"#),
        ] {
            let wanted: Vec<Wanted> = serde_json::from_str(&text).unwrap();
            assert_eq!(topics("alarm_actions", &wanted, project).unwrap(), ["ops"]);
        }
        let text = r#"[{"type":"autoscaling","notificationList":[]}]"#;
        let wanted: Vec<Wanted> = serde_json::from_str(text).unwrap();
        assert_eq!(topics("alarm_actions", &wanted, project).unwrap_err().status(), 400);
    }
}
