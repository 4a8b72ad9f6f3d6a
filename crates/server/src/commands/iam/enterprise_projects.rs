//! `cbr iam enterprise-project …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::session::Session;
use super::directory::{self, Noun};
use super::users::said;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

const ALL: &str = "/v1.0/enterprise-projects";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List enterprise projects
    List,
    /// Show an enterprise project
    Show {
        /// Name or id
        enterprise_project: String,
    },
    /// Make an enterprise project
    Create {
        /// Name
        name: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// Change name or description
    Update(UpdateArgs),
    /// Let new vaults go into it
    Enable {
        /// Name or id
        enterprise_project: String,
    },
    /// Let nothing new go into it; what is in it stays
    Disable {
        /// Name or id
        enterprise_project: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Name or id
    enterprise_project: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Args)]
#[group(id = "enterprise_project_changes", required = true, multiple = true)]
struct Changes {
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let output = session.output;
        let lang = output.lang;
        match self {
            Self::List => output
                .list(&directory::all(session, Noun::EnterpriseProject).await?, &columns(output)),
            Self::Show { enterprise_project } => {
                let found =
                    directory::find(session, Noun::EnterpriseProject, &enterprise_project).await?;
                output.show(&found, &columns(output))
            }
            Self::Create { name, description } => {
                let body = json!({"name": name, "description": description.unwrap_or_default()});
                let what = lang.what_create(lang.noun_enterprise_project(), &name);
                let made = session.client.post(ALL, &body).await.map_err(session.failed(what))?;
                output.show(&made["enterprise_project"], &columns(output))
            }
            Self::Update(args) => update(session, args).await,
            Self::Enable { enterprise_project } => switch(session, &enterprise_project, true).await,
            Self::Disable { enterprise_project } => {
                switch(session, &enterprise_project, false).await
            }
        }
    }
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let named = &args.enterprise_project;
    let before = directory::find(session, Noun::EnterpriseProject, named).await?;
    let Changes { name, description } = args.changes;
    // The service wants a name always; what is not named stays.
    let mut body = json!({"name": name.unwrap_or_else(|| wire::text(&before, "/name"))});
    if let Some(description) = description {
        body["description"] = description.into();
    }
    let path = format!("{ALL}/{}", wire::text(&before, "/id"));
    let what = lang.what_change(lang.noun_enterprise_project(), named);
    let after = session.client.put(&path, &body).await.map_err(session.failed(what))?;
    session.output.show(&after["enterprise_project"], &columns(session.output))
}

async fn switch(session: &Session, named: &str, is_on: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::EnterpriseProject, named).await?;
    let noun = lang.noun_enterprise_project();
    let (action, done) = if is_on {
        ("enable", lang.done_enabled(&noun, named))
    } else {
        ("disable", lang.done_disabled(&noun, named))
    };
    session
        .client
        .post(&format!("{ALL}/{id}/action"), &json!({"action": action}))
        .await
        .map_err(session.failed(lang.what_change(noun, named)))?;
    said(session.output, &json!({"id": id, "enabled": is_on}), done)
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_enabled(), Show::With(is_enabled)),
        (lang.col_description(), Show::At("/description")),
    ]
}

fn is_enabled(project: &Value) -> String {
    (project["status"] == 1).to_string()
}
