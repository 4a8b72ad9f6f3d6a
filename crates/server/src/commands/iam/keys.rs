//! `cbr iam key …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::session::Session;
use super::directory::{self, Noun};
use super::users::said;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

const KEYS: &str = "/v3.0/OS-CREDENTIAL/credentials";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List access keys: one's own, or with permission all of the account's
    List {
        /// Only of this user (name or id)
        #[arg(long)]
        user: Option<String>,
    },
    /// Make an access key; its secret is told only now
    Create {
        /// For this user (name or id); otherwise for oneself
        #[arg(long)]
        user: Option<String>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// Switch an access key on again
    Enable {
        /// The key
        key: String,
    },
    /// Switch an access key off; requests signed with it are refused
    Disable {
        /// The key
        key: String,
    },
    /// Delete an access key
    Delete {
        /// The key
        key: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { user } => list(session, user).await,
            Self::Create { user, description } => create(session, user, description).await,
            Self::Enable { key } => switch(session, &key, "active").await,
            Self::Disable { key } => switch(session, &key, "inactive").await,
            Self::Delete { key, yes } => {
                let lang = session.output.lang;
                session.confirm(&lang.ask_delete_identity(lang.noun_access_key(), &key), yes)?;
                session
                    .client
                    .delete(&format!("{KEYS}/{key}"))
                    .await
                    .map_err(session.failed(lang.what_delete(lang.noun_access_key(), &key)))?;
                let done = lang.done_delete(lang.noun_access_key(), &key);
                said(session.output, &json!({"access": key}), done)
            }
        }
    }
}

async fn list(session: &Session, user: Option<String>) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut query = Vec::new();
    if let Some(user) = user {
        query.push(("user_id".to_owned(), directory::id(session, Noun::User, &user).await?));
    }
    let body = session
        .client
        .get(KEYS, query)
        .await
        .map_err(session.failed(lang.what_list(lang.noun_access_key())))?;
    session.output.list(wire::items(&body, "/credentials"), &columns(session.output))
}

async fn create(
    session: &Session,
    user: Option<String>,
    description: Option<String>,
) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let mut key = json!({"description": description.unwrap_or_default()});
    let owner = user.clone().unwrap_or_default();
    if let Some(user) = user {
        key["user_id"] = directory::id(session, Noun::User, &user).await?.into();
    }
    let made = session
        .client
        .post(KEYS, &json!({"credential": key}))
        .await
        .map_err(session.failed(lang.what_create(lang.noun_access_key(), owner)))?;
    if !output.is_json() {
        output.note(lang.note_key_once());
    }
    let mut particulars = columns(output);
    particulars.insert(1, (lang.col_secret_key(), Show::At("/secret")));
    output.show(&made["credential"], &particulars)
}

async fn switch(session: &Session, key: &str, status: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let after = session
        .client
        .put(&format!("{KEYS}/{key}"), &json!({"credential": {"status": status}}))
        .await
        .map_err(session.failed(lang.what_change(lang.noun_access_key(), key)))?;
    session.output.show(&after["credential"], &columns(session.output))
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    let last_use: fn(&Value) -> String = |key| wire::time(key, "/last_use_time");
    vec![
        (lang.col_access_key(), Show::At("/access")),
        (lang.col_user_id(), Show::At("/user_id")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_last_use(), Show::With(last_use)),
        (lang.col_description(), Show::At("/description")),
    ]
}
