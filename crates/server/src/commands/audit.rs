//! `cbr audit …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};

/// See who changed what
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List changes in the project, newest first
    List {
        /// Only changes of this name, e.g. `deleteVault`
        #[arg(long)]
        name: Option<String>,
        /// Only changes of this thing (id)
        #[arg(long, value_name = "ID")]
        resource: Option<String>,
        /// Only changes by this user
        #[arg(long)]
        user: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Say whether all records of the account are what was recorded
    Verify {
        /// A head that was noted earlier, as this command prints it
        #[arg(long, value_name = "NUMBER:DIGEST", value_parser = head)]
        noted: Option<(u64, String)>,
    },
    /// Write all records of the account as lines of JSON
    Export,
    /// Show whether changes are recorded, or switch it
    Tracker {
        /// `on` or `off`
        #[arg(value_parser = ["on", "off"])]
        switch: Option<String>,
    },
}

fn head(text: &str) -> Result<(u64, String), String> {
    let (number, digest) = text.split_once(':').ok_or("write it as NUMBER:DIGEST")?;
    let number = number.parse().map_err(|_| "the number is not one")?;
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the digest has 64 hexadecimal digits".into());
    }
    Ok((number, digest.to_lowercase()))
}

impl AuditArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            AuditCommand::List { name, resource, user, limit } => {
                let filters = [("trace_name", name), ("resource_id", resource), ("user", user)];
                let given = filters.into_iter().filter_map(|(key, value)| Some((key, value?)));
                let query = given.map(|(key, value)| (key.to_owned(), value)).collect();
                list(&session, query, limit).await
            }
            AuditCommand::Verify { noted } => verify(&session, noted).await,
            AuditCommand::Export => export(&session).await,
            AuditCommand::Tracker { switch } => tracker(&session, switch.as_deref()).await,
        }
    }
}

async fn list(
    session: &Session,
    filters: Vec<(String, String)>,
    limit: usize,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut traces: Vec<Value> = Vec::new();
    let mut next: Option<String> = None;
    while traces.len() < limit {
        let mut query = filters.clone();
        // Without a time the service lists the last hour.
        query.push(("from".to_owned(), "0".to_owned()));
        query.push(("limit".to_owned(), (limit - traces.len()).min(200).to_string()));
        query.extend(next.take().map(|next| ("next".to_owned(), next)));
        let body = session.client.get(&session.client.cbr("traces"), query).await;
        let body = body.map_err(session.failed(lang.what_audit_list()))?;
        traces.extend(wire::items(&body, "/traces").iter().cloned());
        match wire::text(&body, "/meta_data/marker") {
            marker if marker.is_empty() => break,
            marker => next = Some(marker),
        }
    }
    let columns: Vec<Column> = vec![
        (lang.col_created(), Show::With(time)),
        (lang.col_user(), Show::With(who)),
        (lang.col_name(), Show::At("/trace_name")),
        (lang.col_outcome(), Show::With(outcome)),
        (lang.col_type(), Show::At("/resource_type")),
        (lang.col_id(), Show::At("/resource_id")),
        (lang.col_resource(), Show::At("/resource_name")),
    ];
    session.output.list(&traces, &columns)
}

/// The service itself and users of other accounts are told from users of the account.
fn who(trace: &Value) -> String {
    let name = wire::text(trace, "/user/name");
    if wire::text(trace, "/trace_type") == "SystemAction" {
        return format!("({name})");
    }
    match wire::text(trace, "/user/home_domain_id") {
        home if home.is_empty() => name,
        home => format!("{name}@{home}"),
    }
}

/// Whether it was done, or refused with which status.
fn outcome(trace: &Value) -> String {
    match wire::text(trace, "/trace_rating").as_str() {
        "warning" => format!("refused {}", wire::text(trace, "/code")),
        _ => "done".to_owned(),
    }
}

fn time(trace: &Value) -> String {
    let millis = trace["time"].as_i64().unwrap_or_default();
    chrono::DateTime::from_timestamp_millis(millis)
        .map_or_else(|| millis.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

async fn verify(session: &Session, noted: Option<(u64, String)>) -> Result<(), Failure> {
    let lang = session.output.lang;
    let query = noted.map_or_else(Vec::new, |(number, digest)| {
        vec![("number".to_owned(), number.to_string()), ("digest".to_owned(), digest)]
    });
    let found = session.client.get(&session.client.cbr("x/audit/verify"), query).await;
    let found = found.map_err(session.failed(lang.what_audit_verify()))?;
    let head = format!("{}:{}", found["number"], wire::text(&found, "/digest"));
    if let Some(number) = found["broken_at"].as_u64() {
        let why = lang.why_audit_broken(number, wire::text(&found, "/reason"));
        return Err(Failure::new(Kind::Failed, lang.what_audit_verify(), why));
    }
    if found["holds_noted"] == json!(false) {
        let why = lang.why_audit_not_held();
        return Err(Failure::new(Kind::Failed, lang.what_audit_verify(), why));
    }
    if session.output.is_json() {
        return session.output.json(&found);
    }
    session.output.line(lang.done_audit_verify(&found["number"], head))
}

async fn export(session: &Session) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut after = 0;
    loop {
        let query = vec![("after".to_owned(), after.to_string())];
        let body = session.client.get(&session.client.cbr("x/audit/records"), query).await;
        let body = body.map_err(session.failed(lang.what_audit_export()))?;
        let records = wire::items(&body, "/records");
        let Some(last) = records.last() else { return Ok(()) };
        for record in records {
            session.output.line(record.to_string())?;
        }
        after = last["number"].as_u64().unwrap_or(u64::MAX);
    }
}

async fn tracker(session: &Session, switch: Option<&str>) -> Result<(), Failure> {
    let lang = session.output.lang;
    if let Some(switch) = switch {
        let status = if switch == "on" { "enabled" } else { "disabled" };
        let body = json!({"tracker_name": "system", "tracker_type": "system", "status": status});
        let switched = session.client.put(&session.client.cbr("tracker"), &body).await;
        switched.map_err(session.failed(lang.what_audit_tracker()))?;
    }
    let body = session.client.get(&session.client.cbr("trackers"), Vec::new()).await;
    let body = body.map_err(session.failed(lang.what_audit_tracker()))?;
    let columns: Vec<Column> = vec![
        (lang.col_name(), Show::At("/tracker_name")),
        (lang.col_status(), Show::At("/status")),
    ];
    session.output.list(wire::items(&body, "/trackers"), &columns)
}
