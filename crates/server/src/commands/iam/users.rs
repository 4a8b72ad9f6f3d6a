//! `cbr iam user …`

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::super::login::secret;
use super::super::session::Session;
use super::directory::{self, Noun};
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

const PASSWORD_VARIABLE: &str = "CBR_NEW_PASSWORD";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List users
    List,
    /// Show a user and the groups it is in
    Show {
        /// Name or id
        user: String,
    },
    /// Make a user, who may do nothing yet
    Create(CreateArgs),
    /// Change a user
    Update(UpdateArgs),
    /// Give a user a new password; it is asked for, or read from CBR_NEW_PASSWORD
    Password {
        /// Name or id
        user: String,
    },
    /// Delete a user with its keys
    Delete {
        /// Name or id
        user: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Name of the user
    name: String,
    /// Let it log in with a password, which is asked for, or read from CBR_NEW_PASSWORD
    #[arg(long)]
    password: bool,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Where mail reaches it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Put it into this group (repeatable)
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Name or id
    user: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Args)]
#[group(id = "user_change", required = true, multiple = true)]
struct Changes {
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Whether it may log in; barring it ends its tokens
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Where mail reaches it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let output = session.output;
        match self {
            Self::List => {
                output.list(&directory::all(session, Noun::User).await?, &columns(output))
            }
            Self::Show { user } => show(session, &user).await,
            Self::Create(args) => create(session, args).await,
            Self::Update(args) => update(session, args).await,
            Self::Password { user } => password(session, &user).await,
            Self::Delete { user, yes } => delete(session, &user, yes).await,
        }
    }
}

async fn show(session: &Session, named: &str) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let mut user = directory::find(session, Noun::User, named).await?;
    let path = format!("/v3/users/{}/groups", wire::text(&user, "/id"));
    let body = session
        .client
        .get(&path, Vec::new())
        .await
        .map_err(session.failed(lang.what_find(lang.noun_user(), named)))?;
    user["groups"] = body["groups"].clone();
    let groups: fn(&Value) -> String = |user| {
        let names = wire::items(user, "/groups").iter().map(|group| wire::text(group, "/name"));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut particulars = columns(output);
    particulars.push((lang.noun_group(), Show::With(groups)));
    output.show(&user, &particulars)
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut groups = Vec::new();
    for group in &args.groups {
        groups.push(directory::id(session, Noun::Group, group).await?);
    }
    let mut user = Map::new();
    user.insert("name".into(), args.name.clone().into());
    user.extend(args.description.map(|text| ("description".to_owned(), text.into())));
    user.extend(args.email.map(|text| ("email".to_owned(), text.into())));
    if args.password {
        let new = secret(lang.ask_new_password(), PASSWORD_VARIABLE, lang)?;
        user.insert("password".into(), new.reveal().into());
    }
    let failed = || session.failed(lang.what_create(lang.noun_user(), &args.name));
    let body = json!({"user": user});
    let made = session.client.post("/v3/users", &body).await.map_err(failed())?;
    let id = wire::text(&made, "/user/id");
    for group in groups {
        let path = format!("/v3/groups/{group}/users/{id}");
        session.client.put(&path, &json!({})).await.map_err(failed())?;
    }
    session.output.show(&made["user"], &columns(session.output))
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::User, &args.user).await?;
    let Changes { name, enabled, description, email } = args.changes;
    let mut user = Map::new();
    user.extend(name.map(|text| ("name".to_owned(), text.into())));
    user.extend(enabled.map(|flag| ("enabled".to_owned(), flag.into())));
    user.extend(description.map(|text| ("description".to_owned(), text.into())));
    user.extend(email.map(|text| ("email".to_owned(), text.into())));
    let after = session
        .client
        .patch(&format!("/v3/users/{id}"), &json!({"user": user}))
        .await
        .map_err(session.failed(lang.what_change(lang.noun_user(), &args.user)))?;
    session.output.show(&after["user"], &columns(session.output))
}

async fn password(session: &Session, named: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::User, named).await?;
    let new = secret(lang.ask_new_password(), PASSWORD_VARIABLE, lang)?;
    let after = session
        .client
        .patch(&format!("/v3/users/{id}"), &json!({"user": {"password": new.reveal()}}))
        .await
        .map_err(session.failed(lang.what_password(named)))?;
    said(session.output, &after["user"], lang.done_password(named))
}

async fn delete(session: &Session, named: &str, yes: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::User, named).await?;
    session.confirm(&lang.ask_delete_identity(lang.noun_user(), named), yes)?;
    session
        .client
        .delete(&format!("/v3/users/{id}"))
        .await
        .map_err(session.failed(lang.what_delete(lang.noun_user(), named)))?;
    said(session.output, &json!({"id": id}), lang.done_delete(lang.noun_user(), named))
}

/// Writes what was done: for people the text, for programmes the thing.
pub(super) fn said(output: Output, thing: &Value, text: String) -> Result<(), Failure> {
    if output.is_json() { output.json(thing) } else { output.line(text) }
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_enabled(), Show::At("/enabled")),
        (lang.col_email(), Show::At("/email")),
        (lang.col_description(), Show::At("/description")),
    ]
}
