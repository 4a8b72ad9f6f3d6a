//! `cbr policy …`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::policy_organization as organization;
use super::policy_preview::{PreviewArgs, preview};
use super::policy_runs::{RunsArgs, runs};
use super::session::Session;
use crate::client::lookup::{self, Noun};
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};

/// Make and look after policies: when vaults are backed up, and how long backups are kept
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Make a policy
    Create(CreateArgs),
    /// Make the default policy, unless it is there: every day at 22:00, kept for 30 days
    Default {
        /// Where it is 22:00, by a name of the tz database; UTC if it is not said
        #[arg(long, value_name = "ZONE")]
        at_zone: Option<String>,
    },
    /// List policies
    List(ListArgs),
    /// Show a policy and the vaults it works for
    Show {
        /// Name or id
        policy: String,
    },
    /// Change a policy
    Update(UpdateArgs),
    /// Delete a policy and take it off its vaults; backups stay
    Delete {
        /// Name or id
        policy: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show which backups of a vault would be removed now, and why the others stay
    Preview(PreviewArgs),
    /// Show what became of each time at which policies were due, the latest first
    Runs(RunsArgs),
    /// Policies of the whole account: a copy in each of its projects
    #[command(subcommand)]
    Organization(organization::Command),
}

/// What a policy does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Operation {
    /// Back vaults up
    Backup,
    /// Copy backups to another region
    Replication,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Replication => "replication",
        }
    }
}

/// When a policy runs.
#[derive(Debug, Args)]
struct Times {
    /// Run at this time of day, in the policy's zone (repeatable)
    #[arg(long, value_name = "HH:MM", value_parser = time_of_day)]
    at: Vec<(u8, u8)>,
    /// Run on these days of the week only, as MO,TH; else every day
    #[arg(long, value_name = "DAYS", value_delimiter = ',', requires = "at")]
    on: Vec<String>,
    /// Run every so many days, 1 to 30
    #[arg(long, value_name = "DAYS", requires = "at", conflicts_with = "on")]
    every: Option<u32>,
    /// Run by this rule instead: FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00 (repeatable)
    #[arg(long, value_name = "RULE", conflicts_with = "at")]
    pattern: Vec<String>,
    /// Tell the times in this zone of the tz database, as Europe/Berlin; else in UTC
    #[arg(long, value_name = "ZONE")]
    at_zone: Option<String>,
}

impl Times {
    fn patterns(&self) -> Vec<String> {
        if self.at.is_empty() {
            return self.pattern.clone();
        }
        let days = match (self.on.as_slice(), self.every) {
            ([], every) => format!("FREQ=DAILY;INTERVAL={}", every.unwrap_or(1)),
            (days, _) => format!("FREQ=WEEKLY;BYDAY={}", days.join(",").to_uppercase()),
        };
        let rule =
            |(hour, minute): &(u8, u8)| format!("{days};BYHOUR={hour:02};BYMINUTE={minute:02}");
        self.at.iter().map(rule).collect()
    }
}

/// How long backups are kept.
#[derive(Debug, Args)]
pub(super) struct Keeping {
    /// Keep the newest so many backups of each resource
    #[arg(long, value_name = "N")]
    keep: Option<u32>,
    /// Keep each backup so many days
    #[arg(long, value_name = "DAYS", conflicts_with = "keep")]
    keep_days: Option<u32>,
    /// Keep everything until somebody deletes it
    #[arg(long, conflicts_with_all = ["keep", "keep_days"])]
    keep_forever: bool,
    /// Keep the last backup of so many days as well
    #[arg(long, value_name = "N", requires_all = ["keep", "timezone"])]
    keep_daily: Option<u32>,
    /// Keep the last backup of so many weeks as well
    #[arg(long, value_name = "N", requires_all = ["keep", "timezone"])]
    keep_weekly: Option<u32>,
    /// Keep the last backup of so many months as well
    #[arg(long, value_name = "N", requires_all = ["keep", "timezone"])]
    keep_monthly: Option<u32>,
    /// Keep the last backup of so many years as well
    #[arg(long, value_name = "N", requires_all = ["keep", "timezone"])]
    keep_yearly: Option<u32>,
    /// Where days, weeks, months and years begin, as UTC+08:00
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

impl Keeping {
    /// The keys of the definition; none: nothing was said.
    pub(super) fn definition(&self) -> Map<String, Value> {
        let mut definition = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                definition.insert(key.into(), value);
            }
        };
        let count = self.keep.map(Value::from);
        let days = self.keep_days.map(Value::from);
        let is_said = self.keep_forever || count.is_some() || days.is_some();
        let unused = || is_said.then(|| Value::from(-1));
        set("max_backups", count.or_else(unused));
        set("retention_duration_days", days.or_else(unused));
        set("day_backups", self.keep_daily.map(Value::from));
        set("week_backups", self.keep_weekly.map(Value::from));
        set("month_backups", self.keep_monthly.map(Value::from));
        set("year_backups", self.keep_yearly.map(Value::from));
        set("timezone", self.timezone.clone().map(Value::from));
        definition
    }
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Name of the policy
    pub(super) name: String,
    /// What it does
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "backup")]
    operation: Operation,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    keeping: Keeping,
    /// Make a full backup after so many incremental ones
    #[arg(long, value_name = "N")]
    full_every: Option<u32>,
    /// Spread the starts of a run over so many minutes, 60 to 480
    #[arg(long, value_name = "MINUTES")]
    start_window: Option<u32>,
    /// Replication: region the copies go to
    #[arg(long, value_name = "REGION")]
    destination_region: Option<String>,
    /// Replication: project the copies go to
    #[arg(long, value_name = "PROJECT")]
    destination_project: Option<String>,
    /// Make it switched off
    #[arg(long)]
    disabled: bool,
}

impl CreateArgs {
    /// The policy they describe.
    pub(super) fn policy(&self) -> Value {
        let mut definition = self.keeping.definition();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                definition.insert(key.into(), value);
            }
        };
        set("full_backup_interval", self.full_every.map(Value::from));
        set("destination_region", self.destination_region.clone().map(Value::from));
        set("destination_project_id", self.destination_project.clone().map(Value::from));
        let mut properties = json!({"pattern": self.times.patterns()});
        if let Some(zone) = &self.times.at_zone {
            properties["x-time-zone"] = zone.as_str().into();
        }
        if let Some(minutes) = self.start_window {
            properties["start_window_minutes"] = minutes.into();
        }
        json!({
            "name": self.name,
            "enabled": !self.disabled,
            "operation_type": self.operation.as_str(),
            "trigger": {"properties": properties},
            "operation_definition": definition,
        })
    }
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only policies that do this
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    operation: Option<Operation>,
    /// Only policies of this vault
    #[arg(long, value_name = "VAULT")]
    vault: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Name or id
    pub(super) policy: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Whether it does anything
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    keeping: Keeping,
    /// Make a full backup after so many incremental ones; -1: never again
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    full_every: Option<i32>,
    /// Spread the starts of a run over so many minutes; 0: start at once. Needs the times as well
    #[arg(long, value_name = "MINUTES")]
    start_window: Option<u32>,
}

fn time_of_day(text: &str) -> Result<(u8, u8), String> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some((hour, minute))
    };
    read().ok_or_else(|| "a time of day is HH:MM, 00:00 to 23:59".into())
}

impl PolicyArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            PolicyCommand::Create(args) => create(&session, args).await,
            PolicyCommand::Default { at_zone } => standard(&session, at_zone).await,
            PolicyCommand::List(args) => list(&session, args).await,
            PolicyCommand::Show { policy } => {
                show(output, &session.find(Noun::Policy, &policy).await?)
            }
            PolicyCommand::Update(args) => update(&session, args).await,
            PolicyCommand::Delete { policy, yes } => delete(&session, &policy, yes).await,
            PolicyCommand::Preview(args) => preview(&session, args).await,
            PolicyCommand::Runs(args) => runs(&session, args).await,
            PolicyCommand::Organization(command) => command.run(&session).await,
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let answer = session
        .client
        .post(&session.client.cbr("policies"), &json!({"policy": args.policy()}))
        .await
        .map_err(session.failed(lang.what_create(lang.noun_backup_policy(), &args.name)))?;
    show(session.output, &answer["policy"])
}

/// POL-04.
async fn standard(session: &Session, zone: Option<String>) -> Result<(), Failure> {
    let lang = session.output.lang;
    let body = match zone {
        Some(zone) => json!({"x-time-zone": zone}),
        None => json!({}),
    };
    let answer = session
        .client
        .post(&session.client.cbr("x/default-policy"), &body)
        .await
        .map_err(session.failed(lang.what_create(lang.noun_backup_policy(), "default")))?;
    show(session.output, &answer["policy"])
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut query = Vec::new();
    if let Some(operation) = args.operation {
        query.push(("operation_type".to_owned(), operation.as_str().to_owned()));
    }
    if let Some(vault) = args.vault {
        query.push(("vault_id".to_owned(), session.find_id(Noun::Vault, &vault).await?));
    }
    let limit = args.limit.unwrap_or(usize::MAX);
    let policies = lookup::list(&session.client, Noun::Policy, &query, limit)
        .await
        .map_err(session.failed(lang.what_list(lang.noun_backup_policy())))?;
    let columns: [Column; 6] = [
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_type(), Show::At("/operation_type")),
        (lang.col_enabled(), Show::At("/enabled")),
        (lang.col_keeps(), Show::With(keeps)),
        (
            lang.col_vaults(),
            Show::With(|policy| wire::items(policy, "/associated_vaults").len().to_string()),
        ),
    ];
    session.output.list(&policies, &columns)
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let before = session.find(Noun::Policy, &args.policy).await?;
    let id = wire::text(&before, "/id");
    let policy = changes(&args, &before);
    if policy.is_empty() {
        let what = lang.what_update(lang.noun_backup_policy(), &args.policy);
        return Err(Failure::new(Kind::Usage, what, lang.why_no_change())
            .with_next(lang.next_policy_update()));
    }
    let answer = session
        .client
        .put(&session.client.cbr(&format!("policies/{id}")), &json!({"policy": policy}))
        .await
        .map_err(session.failed(lang.what_update(lang.noun_backup_policy(), &args.policy)))?;
    show(session.output, &answer["policy"])
}

/// What the arguments change. The service replaces a definition as a whole, so what is not named is
/// taken from `before`; a new way of keeping takes the place of the old one.
pub(super) fn changes(args: &UpdateArgs, before: &Value) -> Map<String, Value> {
    let mut policy = Map::new();
    if let Some(name) = &args.name {
        policy.insert("name".into(), json!(name));
    }
    if let Some(enabled) = args.enabled {
        policy.insert("enabled".into(), json!(enabled));
    }
    let patterns = args.times.patterns();
    if !patterns.is_empty() || args.start_window.is_some() || args.times.at_zone.is_some() {
        let kept = &before["trigger"]["properties"]["pattern"];
        let pattern = if patterns.is_empty() { kept.clone() } else { json!(patterns) };
        let mut properties = json!({"pattern": pattern});
        if let Some(zone) = &args.times.at_zone {
            properties["x-time-zone"] = zone.as_str().into();
        }
        if let Some(minutes) = args.start_window {
            properties["start_window_minutes"] =
                if minutes == 0 { Value::Null } else { minutes.into() };
        }
        policy.insert("trigger".into(), json!({"properties": properties}));
    }
    let keeping = args.keeping.definition();
    if !keeping.is_empty() || args.full_every.is_some() {
        let mut definition =
            before["operation_definition"].as_object().cloned().unwrap_or_default();
        if keeping.contains_key("max_backups") {
            for key in ["day_backups", "week_backups", "month_backups", "year_backups"] {
                definition.remove(key);
            }
        }
        definition.extend(keeping);
        if let Some(interval) = args.full_every {
            definition.insert("full_backup_interval".into(), interval.into());
        }
        policy.insert("operation_definition".into(), Value::Object(definition));
    }
    policy
}

async fn delete(session: &Session, name: &str, yes: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let policy = session.find(Noun::Policy, name).await?;
    let bound = wire::items(&policy, "/associated_vaults").len();
    session.confirm(&lang.ask_delete_policy(name, bound), yes)?;
    let id = wire::text(&policy, "/id");
    session
        .client
        .delete(&session.client.cbr(&format!("policies/{id}")))
        .await
        .map_err(session.failed(lang.what_delete(lang.noun_backup_policy(), name)))?;
    if session.output.is_json() {
        return session.output.json(&json!({"id": id}));
    }
    session.output.line(lang.done_delete(lang.noun_backup_policy(), name))
}

fn show(output: Output, policy: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    let particulars: [Column; 9] = [
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_type(), Show::At("/operation_type")),
        (lang.col_origin(), Show::At("/policy_type")),
        (lang.col_enabled(), Show::At("/enabled")),
        (lang.col_runs(), Show::With(|policy| lines(policy, "/trigger/properties/pattern"))),
        (lang.col_time_zone(), Show::With(zone)),
        (lang.col_keeps(), Show::With(keeps)),
        (
            lang.col_vaults(),
            Show::With(|policy| {
                let vaults = wire::items(policy, "/associated_vaults").iter();
                vaults.map(|vault| wire::text(vault, "/vault_id")).collect::<Vec<_>>().join(" ")
            }),
        ),
    ];
    output.show(policy, &particulars)
}

fn zone(policy: &Value) -> String {
    policy
        .pointer("/trigger/properties/x-time-zone")
        .map_or_else(|| "UTC".to_owned(), |zone| wire::text(zone, ""))
}

pub(super) fn lines(thing: &Value, pointer: &str) -> String {
    let items = wire::items(thing, pointer).iter();
    items.map(|item| wire::text(item, "")).collect::<Vec<_>>().join(" ")
}

/// The definition in short: `max_backups=5 day_backups=7`; what is not used is left out.
fn keeps(policy: &Value) -> String {
    kept_by(&policy["operation_definition"])
}

/// A definition in short.
pub(super) fn kept_by(definition: &Value) -> String {
    let definition = definition.as_object();
    let used = definition.into_iter().flatten().filter(|(_, value)| match value {
        Value::Number(number) => number.as_i64().is_none_or(|number| number >= 0),
        Value::Null => false,
        _ => true,
    });
    used.map(|(key, value)| format!("{key}={}", wire::text(value, "")))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: PolicyCommand,
    }

    fn create(line: &str) -> Result<CreateArgs, clap::Error> {
        match Line::try_parse_from(line.split_whitespace())?.command {
            PolicyCommand::Create(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    /// Contract B.9: what people write becomes rules of the grammar.
    #[test]
    fn times_become_patterns() {
        let patterns = |line: &str| create(line).unwrap().times.patterns();
        assert_eq!(
            patterns("policy create p --at 02:00 --at 14:30"),
            [
                "FREQ=DAILY;INTERVAL=1;BYHOUR=02;BYMINUTE=00",
                "FREQ=DAILY;INTERVAL=1;BYHOUR=14;BYMINUTE=30"
            ]
        );
        let weekly = ["FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=02;BYMINUTE=00"];
        assert_eq!(patterns("policy create p --at 2:00 --on mo,TH"), weekly);
        let third = ["FREQ=DAILY;INTERVAL=3;BYHOUR=02;BYMINUTE=00"];
        assert_eq!(patterns("policy create p --at 02:00 --every 3"), third);
        assert_eq!(patterns("policy create p --pattern FREQ=X"), ["FREQ=X"], "the service says no");
        for bad in [
            "--at 24:00",
            "--at 2",
            "--on MO",
            "--at 1:00 --every 2 --on MO",
            "--at 1:00 --pattern x",
        ] {
            assert!(create(&format!("policy create p {bad}")).is_err(), "{bad}");
        }
    }

    /// RET-01, RET-05: one way of keeping, with what fits it.
    #[test]
    fn keeping_becomes_a_definition() {
        let definition = |line: &str| Value::Object(create(line).unwrap().keeping.definition());
        assert_eq!(
            definition("policy create p --keep 5 --keep-daily 7 --timezone UTC+08:00"),
            json!({"max_backups": 5, "retention_duration_days": -1, "day_backups": 7,
                "timezone": "UTC+08:00"})
        );
        let days = json!({"max_backups": -1, "retention_duration_days": 30});
        assert_eq!(definition("policy create p --keep-days 30"), days);
        assert_eq!(definition("policy create p"), json!({}));
        for bad in [
            "--keep 5 --keep-days 5",
            "--keep-daily 5",
            "--keep 5 --keep-weekly 5",
            "--keep 1 --keep-forever",
        ] {
            assert!(create(&format!("policy create p {bad}")).is_err(), "{bad}");
        }
    }

    /// Contract C43: the service replaces a definition as a whole, so the rest of it is sent along.
    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let before = json!({
            "trigger": {"properties": {"pattern": ["old"]}},
            "operation_definition": {"max_backups": 5, "day_backups": 7, "full_backup_interval": 6},
        });
        let change = |line: &str| {
            let line = format!("policy update p {line}");
            match Line::try_parse_from(line.split_whitespace()).unwrap().command {
                PolicyCommand::Update(args) => Value::Object(changes(&args, &before)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(change(""), json!({}));
        assert_eq!(change("--enabled false"), json!({"enabled": false}));
        assert_eq!(
            change("--keep-days 9"),
            json!({"operation_definition": {"max_backups": -1, "retention_duration_days": 9,
                "full_backup_interval": 6}})
        );
        assert_eq!(
            change("--full-every -1"),
            json!({"operation_definition": {"max_backups": 5, "day_backups": 7,
                "full_backup_interval": -1}})
        );
        let off = json!({"trigger": {"properties":
            {"pattern": ["old"], "start_window_minutes": null}}});
        assert_eq!(change("--start-window 0"), off);
    }

    #[test]
    fn what_is_not_used_is_not_shown() {
        let policy = json!({"operation_definition":
            {"max_backups": 5, "retention_duration_days": -1, "timezone": "UTC+08:00"}});
        assert_eq!(keeps(&policy), "max_backups=5 timezone=UTC+08:00");
    }
}
