//! `cbr iam policy …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::session::Session;
use super::directory::{self, Noun};
use super::users::said;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};
use crate::text::Lang;

const ROLES: &str = "/v3.0/OS-ROLE/roles";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List policies: those every account has, then its own
    List,
    /// Show a policy and what it says
    Show {
        /// Name or id
        policy: String,
    },
    /// Make a policy, which has no effect until it is granted
    Create {
        /// Name of the policy
        name: String,
        /// JSON with Version and Statement, as docs/operations/access.md shows it
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        /// It is about the account as a whole (iam, eps), not about projects
        #[arg(long)]
        account: bool,
    },
    /// Replace what a policy of the account says, at once for all it is granted to
    Update {
        /// Name or id
        policy: String,
        /// JSON, as for `create`
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete a policy of the account that is granted to nobody
    Delete {
        /// Name or id
        policy: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let output = session.output;
        let lang = output.lang;
        match self {
            Self::List => {
                output.list(&directory::all(session, Noun::Policy).await?, &columns(output))
            }
            Self::Show { policy } => show(session, &policy).await,
            Self::Create { name, file, description, account } => {
                let role = json!({
                    "display_name": name,
                    "type": if account { "AX" } else { "XA" },
                    "description": description.unwrap_or_default(),
                    "policy": read(&file, lang)?,
                });
                let made = session
                    .client
                    .post(ROLES, &json!({"role": role}))
                    .await
                    .map_err(session.failed(lang.what_create(lang.noun_policy(), &name)))?;
                output.show(&made["role"], &columns(output))
            }
            Self::Update { policy, file } => update(session, &policy, &file).await,
            Self::Delete { policy, yes } => {
                let id = directory::id(session, Noun::Policy, &policy).await?;
                session.confirm(&lang.ask_delete_identity(lang.noun_policy(), &policy), yes)?;
                session
                    .client
                    .delete(&format!("{ROLES}/{id}"))
                    .await
                    .map_err(session.failed(lang.what_delete(lang.noun_policy(), &policy)))?;
                said(output, &json!({"id": id}), lang.done_delete(lang.noun_policy(), &policy))
            }
        }
    }
}

async fn show(session: &Session, named: &str) -> Result<(), Failure> {
    let output = session.output;
    let role = directory::find(session, Noun::Policy, named).await?;
    output.show(&role, &columns(output))?;
    if output.is_json() {
        return Ok(());
    }
    output.line(format_args!("{:#}", role["policy"]))
}

async fn update(session: &Session, named: &str, file: &Path) -> Result<(), Failure> {
    let lang = session.output.lang;
    let before = directory::find(session, Noun::Policy, named).await?;
    let role = json!({
        "display_name": before["display_name"],
        "type": before["type"],
        "description": before["description"],
        "description_cn": before["description_cn"],
        "policy": read(file, lang)?,
    });
    let path = format!("{ROLES}/{}", wire::text(&before, "/id"));
    let after = session
        .client
        .patch(&path, &json!({"role": role}))
        .await
        .map_err(session.failed(lang.what_change(lang.noun_policy(), named)))?;
    session.output.show(&after["role"], &columns(session.output))
}

fn read(path: &Path, lang: Lang) -> Result<Value, Failure> {
    let unread =
        |why: String| Failure::new(Kind::Usage, lang.what_policy_file(path.display()), why);
    let text = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unread(error.to_string()))
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/display_name")),
        (lang.col_catalog(), Show::At("/catalog")),
        (lang.col_type(), Show::At("/type")),
        (lang.col_description(), Show::At("/description")),
    ]
}
