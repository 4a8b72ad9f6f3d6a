//! `cbr policy organization …`: policies of the whole account, which every project has a copy of.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::policy::{CreateArgs, UpdateArgs, changes, kept_by, lines};
use super::session::Session;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};

/// A key of a policy, and the key of an organization policy with the same meaning.
const KEYS: [(&str, &str); 3] = [
    ("enabled", "policy_enabled"),
    ("trigger", "policy_trigger"),
    ("operation_definition", "policy_operation_definition"),
];

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a policy for every project of the account, those to come too
    Create(NewArgs),
    /// List organization policies
    List,
    /// Show an organization policy, and how far each project is
    Show {
        /// Name or id
        policy: String,
    },
    /// Change an organization policy in every project
    Update(ChangeArgs),
    /// Delete an organization policy and its copies; backups stay
    Delete {
        /// Name or id
        policy: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    #[command(flatten)]
    policy: CreateArgs,
    #[command(flatten)]
    text: TextArgs,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    policy: UpdateArgs,
    #[command(flatten)]
    text: TextArgs,
}

#[derive(Debug, Args)]
struct TextArgs {
    /// What the copies are called; otherwise as the policy when it was made
    #[arg(long, value_name = "NAME")]
    policy_name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Whom it is meant for; free text
    #[arg(long, value_name = "TEXT")]
    scope: Option<String>,
}

impl TextArgs {
    fn put_into(self, policy: &mut Map<String, Value>) {
        let texts = [
            ("policy_name", self.policy_name),
            ("description", self.description),
            ("effective_scope", self.scope),
        ];
        for (key, text) in texts {
            policy.extend(text.map(|text| (key.to_owned(), text.into())));
        }
    }
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Create(args) => create(session, args).await,
            Self::List => session.output.list(&all(session).await?, &columns(session.output)),
            Self::Show { policy } => show(session, &policy).await,
            Self::Update(args) => update(session, args).await,
            Self::Delete { policy, yes } => delete(session, &policy, yes).await,
        }
    }
}

/// A policy with the keys of an organization policy.
fn renamed(mut policy: Map<String, Value>) -> Map<String, Value> {
    for (from, to) in KEYS {
        if let Some(value) = policy.remove(from) {
            policy.insert(to.to_owned(), value);
        }
    }
    policy
}

/// An organization policy with the keys of a policy.
fn as_policy(organization: &Value) -> Value {
    let pairs = KEYS.iter().map(|(of, from)| ((*of).to_owned(), organization[*from].clone()));
    Value::Object(pairs.collect())
}

async fn create(session: &Session, args: NewArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let name = args.policy.name.clone();
    let mut policy = renamed(args.policy.policy().as_object().cloned().unwrap_or_default());
    policy.insert("policy_name".into(), json!(name));
    args.text.put_into(&mut policy);
    let made = session
        .client
        .post(&session.client.cbr("organization-policies"), &json!({"policy": policy}))
        .await
        .map_err(session.failed(lang.what_create(lang.noun_organization_policy(), &name)))?;
    session.output.show(&made["policy"], &particulars(session.output))
}

async fn all(session: &Session) -> Result<Vec<Value>, Failure> {
    let lang = session.output.lang;
    let path = session.client.cbr("organization-policies");
    let mut all = Vec::new();
    // The service lists one type at a time.
    for operation in ["backup", "replication"] {
        let query = vec![("operation_type".to_owned(), operation.to_owned())];
        let what = lang.what_list(lang.noun_organization_policy());
        let body = session.client.get(&path, query).await.map_err(session.failed(what))?;
        all.extend_from_slice(wire::items(&body, "/policies"));
    }
    Ok(all)
}

/// The one a person means by a name or an id. Names need not be unique.
async fn find(session: &Session, named: &str) -> Result<Value, Failure> {
    let lang = session.output.lang;
    let noun = lang.noun_organization_policy();
    let of = |key: &str, all: &[Value]| -> Vec<Value> {
        all.iter().filter(|policy| wire::text(policy, key) == named).cloned().collect()
    };
    let all = all(session).await?;
    let mut found = of("/id", &all);
    if found.is_empty() {
        found = of("/name", &all);
    }
    let what = lang.what_find(&noun, named);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(Kind::NotFound, what, lang.why_no_such(noun, named))
            .with_next(lang.next_not_found())),
        count => {
            let ids: Vec<_> = found.iter().map(|policy| wire::text(policy, "/id")).collect();
            let why = lang.why_ambiguous(count, named, ids.join(", "));
            Err(Failure::new(Kind::Usage, what, why).with_next(lang.next_ambiguous()))
        }
    }
}

async fn show(session: &Session, named: &str) -> Result<(), Failure> {
    let (output, lang) = (session.output, session.output.lang);
    let mut policy = find(session, named).await?;
    let path = format!("organization-policies/{}/policy-detail", wire::text(&policy, "/id"));
    let detail = session
        .client
        .get(&session.client.cbr(&path), Vec::new())
        .await
        .map_err(session.failed(lang.what_find(lang.noun_organization_policy(), named)))?;
    if output.is_json() {
        policy["copies"] = detail["policies"].clone();
        return output.json(&policy);
    }
    output.show(&policy, &particulars(output))?;
    output.line("")?;
    output.list(
        wire::items(&detail, "/policies"),
        &[
            (lang.col_project(), Show::At("/project_id")),
            (lang.col_run_policy(), Show::At("/policy_id")),
            (lang.col_status(), Show::At("/status")),
        ],
    )
}

async fn update(session: &Session, args: ChangeArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let named = args.policy.policy.clone();
    let before = find(session, &named).await?;
    let mut policy = renamed(changes(&args.policy, &as_policy(&before)));
    args.text.put_into(&mut policy);
    let what = lang.what_update(lang.noun_organization_policy(), &named);
    if policy.is_empty() {
        return Err(Failure::new(Kind::Usage, what, lang.why_no_change())
            .with_next(lang.next_policy_update()));
    }
    let path = format!("organization-policies/{}", wire::text(&before, "/id"));
    let after = session
        .client
        .put(&session.client.cbr(&path), &json!({"policy": policy}))
        .await
        .map_err(session.failed(what))?;
    session.output.show(&after["policy"], &particulars(session.output))
}

async fn delete(session: &Session, named: &str, yes: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = wire::text(&find(session, named).await?, "/id");
    let noun = lang.noun_organization_policy();
    session.confirm(&lang.ask_delete_identity(&noun, named), yes)?;
    session
        .client
        .delete(&session.client.cbr(&format!("organization-policies/{id}")))
        .await
        .map_err(session.failed(lang.what_delete(&noun, named)))?;
    if session.output.is_json() {
        return session.output.json(&json!({"id": id}));
    }
    session.output.line(lang.done_delete(noun, named))
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_copies_name(), Show::At("/policy_name")),
        (lang.col_type(), Show::At("/operation_type")),
        (lang.col_enabled(), Show::At("/policy_enabled")),
        (lang.col_status(), Show::At("/status")),
    ]
}

fn particulars(output: Output) -> Vec<Column> {
    let lang = output.lang;
    let mut all = columns(output);
    all.extend([
        (
            lang.col_runs(),
            Show::With(|policy: &Value| lines(policy, "/policy_trigger/properties/pattern")),
        ),
        (
            lang.col_keeps(),
            Show::With(|policy: &Value| kept_by(&policy["policy_operation_definition"])),
        ),
        (lang.col_scope(), Show::At("/effective_scope")),
        (lang.col_description(), Show::At("/description")),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_and_an_organization_policy_say_the_same_with_other_keys() {
        let policy = json!({"name": "n", "enabled": true, "trigger": {"a": 1},
            "operation_definition": {"b": 2}, "operation_type": "backup"});
        let organization = Value::Object(renamed(policy.as_object().unwrap().clone()));
        assert_eq!(
            organization,
            json!({"name": "n", "policy_enabled": true, "policy_trigger": {"a": 1},
                "policy_operation_definition": {"b": 2}, "operation_type": "backup"})
        );
        let again = as_policy(&organization);
        for (key, _) in KEYS {
            assert_eq!(again[key], policy[key], "{key}");
        }
    }
}
