//! `cbr alarm …`: rules that tell when vaults fill up and things go wrong.

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use super::topic::urn_of;
use crate::client::lookup::Noun;
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};
use crate::text::{Lang, texts};

texts! {
    noun_alarm() "alarm" | "告警规则";
    what_alarm() "cannot look after alarms" | "无法管理告警规则";
    done_alarm(name, id) "Alarm {name} is {id}" | "告警规则 {name} 的 ID 是 {id}";
    done_switch(id, state) "Alarm {id} is {state}" | "告警规则 {id} 已{state}";
    word_on() "on" | "启用";
    word_off() "off" | "停用";
    ask_delete_alarm(id) "Delete alarm {id}? Its history stays." | "删除告警规则 {id}？历史记录将保留。";
    why_no_condition() "say --usage, --metric, --event or --template" | "请指定 --usage、--metric、--event 或 --template";
    col_watches() "WATCHES" | "监控对象";
    col_conditions() "CONDITIONS" | "条件";
    col_looked_at() "ON" | "启用";
    col_level() "LEVEL" | "级别";
    col_since() "SINCE" | "开始时间";
    col_until() "UNTIL" | "结束时间";
    col_told() "TOLD" | "已通知";
    col_event() "EVENT" | "事件";
    col_detail() "DETAIL" | "详情";
}

/// Be told when vaults fill up and things go wrong
#[derive(Debug, Args)]
pub(crate) struct AlarmArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: AlarmCommand,
}

#[derive(Debug, Subcommand)]
enum AlarmCommand {
    /// Make a rule
    Create(Box<CreateArgs>),
    /// List rules
    List,
    /// Show a rule
    Show {
        /// Id
        alarm: String,
    },
    /// Have a rule looked at
    Enable {
        /// Id
        alarm: String,
    },
    /// Have a rule not looked at
    Disable {
        /// Id
        alarm: String,
    },
    /// Delete a rule; its history stays
    Delete {
        /// Id
        alarm: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List when alarms were raised and when they were over
    History {
        /// Only of this rule: its id
        #[arg(long)]
        alarm: Option<String>,
    },
    /// List templates to make rules from
    Templates,
    /// List what happened that rules can be about
    Events {
        /// Only of this kind, such as backupFailed
        #[arg(long)]
        event: Option<String>,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name; otherwise alarm- and four letters
    #[arg(long)]
    name: Option<String>,
    /// Watch this vault: name or id (repeatable); otherwise all there are
    #[arg(long = "vault", value_name = "VAULT")]
    vaults: Vec<String>,
    /// Raise it when a vault is so full, in per cent
    #[arg(long, value_name = "PERCENT")]
    usage: Option<f64>,
    /// Raise it on a metric, as "used_vault_size>50"
    #[arg(long, value_name = "METRIC<>VALUE", conflicts_with = "usage", value_parser = comparison)]
    metric: Option<(String, String, f64)>,
    /// The metric is one that you publish yourself, in this namespace, as shop.orders
    #[arg(long, value_name = "NAMESPACE", requires = "metric", conflicts_with = "vaults")]
    namespace: Option<String>,
    /// Of what: its dimensions, as host=web-1,disk=sda (repeatable); otherwise all that publish it
    #[arg(long = "of", value_name = "NAME=VALUE", requires = "namespace", value_parser = dimensions)]
    things: Vec<Dimensions>,
    /// Raise it on events, such as backupFailed (repeatable)
    #[arg(long = "event", value_name = "EVENT", conflicts_with_all = ["usage", "metric"])]
    events: Vec<String>,
    /// Take the conditions of a template: its id
    #[arg(long, value_name = "ID", conflicts_with_all = ["usage", "metric", "events"])]
    template: Option<String>,
    /// In so many quarters of an hour in a row
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u32,
    /// 1 critical, 2 major, 3 minor, 4 informational
    #[arg(long, default_value_t = 2, value_name = "LEVEL")]
    level: u8,
    /// Tell this topic: its name (repeatable)
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Tell it also when the alarm is over
    #[arg(long)]
    recovery: bool,
    /// Tell it only from this time of the day, as 08:00
    #[arg(long, value_name = "TIME", default_value = "00:00")]
    from: String,
    /// Tell it only to this time of the day, as 20:00
    #[arg(long, value_name = "TIME", default_value = "23:59")]
    to: String,
    /// Where that day is, as GMT+08:00
    #[arg(long, value_name = "ZONE", default_value = "GMT+00:00")]
    zone: String,
}

/// A metric, a sign and a number.
fn comparison(text: &str) -> Result<(String, String, f64), String> {
    let sign = [">=", "<=", "!=", ">", "<", "="].into_iter().find(|sign| text.contains(sign));
    let sign = sign.ok_or("write it as used_vault_size>50")?;
    let (metric, value) = text.split_once(sign).ok_or("write it as used_vault_size>50")?;
    let value = value.trim().parse().map_err(|error| format!("{value}: {error}"))?;
    Ok((metric.trim().to_owned(), sign.to_owned(), value))
}

/// The dimensions of a thing: names and values.
type Dimensions = Vec<(String, String)>;

/// Names and values, with a comma between.
fn dimensions(text: &str) -> Result<Dimensions, String> {
    let one = |part: &str| {
        let (name, value) = part.split_once('=').ok_or("write it as host=web-1,disk=sda")?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').map(one).collect()
}

impl AlarmArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            AlarmCommand::Create(args) => create(&session, *args).await,
            AlarmCommand::List => {
                let all = all(&session, "alarms", "/alarms", &[]).await?;
                output.list(&all, &columns(output.lang))
            }
            AlarmCommand::Show { alarm } => {
                let found = all(&session, "alarms", "/alarms", &[("alarm_id", &alarm)]).await?;
                let absent = || {
                    let what = output.lang.what_find(output.lang.noun_alarm(), &alarm);
                    Failure::new(Kind::NotFound, what, String::new())
                };
                output.show(found.first().ok_or_else(absent)?, &columns(output.lang))
            }
            AlarmCommand::Enable { alarm } => switch(&session, &alarm, true).await,
            AlarmCommand::Disable { alarm } => switch(&session, &alarm, false).await,
            AlarmCommand::Delete { alarm, yes } => {
                session.confirm(&output.lang.ask_delete_alarm(&alarm), yes)?;
                let body = json!({"alarm_ids": [alarm]});
                let done = post(&session, "alarms/batch-delete", &body).await?;
                if output.is_json() {
                    return output.json(&done);
                }
                output.line(output.lang.done_delete(output.lang.noun_alarm(), alarm))
            }
            AlarmCommand::History { alarm } => {
                let query: Vec<_> = alarm.iter().map(|id| ("alarm_id", id.as_str())).collect();
                let all = all(&session, "alarm-histories", "/alarm_histories", &query).await?;
                output.list(&all, &history_columns(output.lang))
            }
            AlarmCommand::Templates => {
                let all = all(&session, "alarm-templates", "/alarm_templates", &[]).await?;
                let lang = output.lang;
                let columns = [
                    (lang.col_id(), Show::At("/template_id")),
                    (lang.col_name(), Show::At("/template_name")),
                    (lang.col_type(), Show::At("/template_type")),
                    (lang.col_detail(), Show::At("/template_description")),
                ];
                output.list(&all, &columns)
            }
            AlarmCommand::Events { event } => events(&session, event).await,
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let output = session.output;
    let mut resources = Vec::new();
    for vault in &args.vaults {
        let id = session.find_id(Noun::Vault, vault).await?;
        resources.push(json!([{"name": "instance_id", "value": id}]));
    }
    for thing in &args.things {
        let dimension = |(name, value): &(String, String)| json!({"name": name, "value": value});
        resources.push(thing.iter().map(dimension).collect());
    }
    let mut topics = Vec::new();
    for topic in &args.topics {
        topics.push(urn_of(session, topic).await?);
    }
    let receivers = |wanted: bool| {
        let list: &[String] = if wanted { &topics } else { &[] };
        if list.is_empty() {
            json!([])
        } else {
            json!([{"type": "notification", "notification_list": list}])
        }
    };
    let policies = policies(&args);
    if policies.is_empty() && args.template.is_none() {
        let lang = output.lang;
        return Err(Failure::new(Kind::Usage, lang.what_alarm(), lang.why_no_condition()));
    }
    let kind = match (args.events.is_empty(), resources.is_empty()) {
        (false, _) => "EVENT.SYS",
        (true, true) => "ALL_INSTANCE",
        (true, false) => "MULTI_INSTANCE",
    };
    let mut body = json!({
        "namespace": args.namespace.as_deref().unwrap_or("SYS.CBR"),
        "resources": resources,
        "policies": policies,
        "type": kind,
        "enabled": true,
        "notification_enabled": !topics.is_empty(),
        "alarm_notifications": receivers(true),
        "ok_notifications": receivers(args.recovery),
        "notification_begin_time": args.from,
        "notification_end_time": args.to,
        "effective_timezone": args.zone,
    });
    if let Some(name) = &args.name {
        body["name"] = json!(name);
    }
    if let Some(template) = &args.template {
        body["alarm_template_id"] = json!(template);
    }
    let made = post(session, "alarms", &body).await?;
    if output.is_json() {
        return output.json(&made);
    }
    let id = wire::text(&made, "/alarm_id");
    let shown = all(session, "alarms", "/alarms", &[("alarm_id", &id)]).await?;
    let name = shown.first().map(|one| wire::text(one, "/name")).unwrap_or_default();
    output.line(output.lang.done_alarm(name, id))
}

fn policies(args: &CreateArgs) -> Vec<Value> {
    let on_metric = |metric: &str, sign: &str, value: f64| {
        json!({"metric_name": metric, "period": 1, "filter": "average",
               "comparison_operator": sign, "value": value, "count": args.count,
               "level": args.level})
    };
    let usage = args.usage.map(|usage| on_metric("vault_util", ">=", usage));
    let metric = args.metric.as_ref().map(|(metric, sign, value)| on_metric(metric, sign, *value));
    let events = args.events.iter().map(|event| json!({"metric_name": event, "level": args.level}));
    usage.into_iter().chain(metric).chain(events).collect()
}

async fn switch(session: &Session, alarm: &str, enabled: bool) -> Result<(), Failure> {
    let body = json!({"alarm_ids": [alarm], "alarm_enabled": enabled});
    let done = post(session, "alarms/action", &body).await?;
    let output = session.output;
    if output.is_json() {
        return output.json(&done);
    }
    let state = if enabled { output.lang.word_on() } else { output.lang.word_off() };
    output.line(output.lang.done_switch(alarm, state))
}

async fn events(session: &Session, event: Option<String>) -> Result<(), Failure> {
    let output = session.output;
    let query = event.map(|event| ("event".to_owned(), event)).into_iter().collect();
    let listed = session.client.get(&session.client.cbr("x/events"), query).await;
    let listed = listed.map_err(session.failed(output.lang.what_alarm()))?;
    let lang = output.lang;
    let columns = [
        (lang.col_since(), Show::With(|event| wire::time(event, "/created_at"))),
        (lang.col_event(), Show::At("/event")),
        (lang.col_name(), Show::At("/resource_name")),
        (lang.col_detail(), Show::At("/detail")),
    ];
    output.list(wire::items(&listed, "/events"), &columns)
}

async fn post(session: &Session, rest: &str, body: &Value) -> Result<Value, Failure> {
    let path = format!("/v2/{}/{rest}", session.client.project());
    let done = session.client.post(&path, body).await;
    done.map_err(session.failed(session.output.lang.what_alarm()))
}

/// All rows of a list, page by page.
async fn all(
    session: &Session,
    rest: &str,
    key: &str,
    query: &[(&str, &str)],
) -> Result<Vec<Value>, Failure> {
    const PAGE: usize = 100;
    let path = format!("/v2/{}/{rest}", session.client.project());
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let mut page: Vec<(String, String)> =
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        page.push(("limit".into(), PAGE.to_string()));
        page.push(("offset".into(), rows.len().to_string()));
        let body = session.client.get(&path, page).await;
        let body = body.map_err(session.failed(session.output.lang.what_alarm()))?;
        let more = wire::items(&body, key);
        rows.extend_from_slice(more);
        if more.len() < PAGE {
            return Ok(rows);
        }
    }
}

fn columns(lang: Lang) -> [Column; 5] {
    [
        (lang.col_id(), Show::At("/alarm_id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_looked_at(), Show::At("/enabled")),
        (lang.col_watches(), Show::With(watches)),
        (lang.col_conditions(), Show::With(conditions)),
    ]
}

fn watches(alarm: &Value) -> String {
    match wire::items(alarm, "/resources").len() {
        0 => wire::text(alarm, "/type"),
        count if wire::text(alarm, "/namespace") == "SYS.CBR" => format!("{count} vaults"),
        count => format!("{count} in {}", wire::text(alarm, "/namespace")),
    }
}

fn conditions(alarm: &Value) -> String {
    let one = |policy: &Value| {
        let text = |key: &str| wire::text(policy, key);
        match wire::number(policy, "/period") {
            Some(0) => text("/metric_name"),
            _ => format!(
                "{} {} {}{}",
                text("/metric_name"),
                text("/comparison_operator"),
                policy["value"].as_f64().unwrap_or_default(),
                text("/unit")
            ),
        }
    };
    wire::items(alarm, "/policies").iter().map(one).collect::<Vec<_>>().join("; ")
}

fn history_columns(lang: Lang) -> [Column; 7] {
    [
        (lang.col_since(), Show::With(|record| wire::time(record, "/begin_time"))),
        (lang.col_until(), Show::With(|record| wire::time(record, "/end_time"))),
        (lang.col_name(), Show::At("/name")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_level(), Show::At("/level")),
        (lang.col_event(), Show::At("/additional_info/resource_name")),
        (lang.col_told(), Show::With(told)),
    ]
}

fn told(record: &Value) -> String {
    let why = wire::text(record, "/additional_info/untold");
    if why.is_empty() { wire::text(record, "/additional_info/told") } else { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_read_with_their_names() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            dimensions("host=a, disk=b=c").unwrap(),
            [pair("host", "a"), pair("disk", "b=c")]
        );
        dimensions("host").unwrap_err();
    }

    #[test]
    fn comparisons_are_read_with_their_signs() {
        for (text, sign) in [("a>1", ">"), ("a >= 1", ">="), ("a<=1", "<="), ("a=1", "=")] {
            assert_eq!(comparison(text).unwrap(), ("a".to_owned(), sign.to_owned(), 1.0), "{text}");
        }
        for bad in ["a", "a>b", "a 1"] {
            comparison(bad).unwrap_err();
        }
    }
}
