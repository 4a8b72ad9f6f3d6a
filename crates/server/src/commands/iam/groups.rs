//! `cbr iam group …`

use clap::Subcommand;
use serde_json::json;

use super::super::session::Session;
use super::directory::{self, Noun};
use super::users::said;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List groups
    List,
    /// List the users in a group
    Members {
        /// Name or id
        group: String,
    },
    /// Make a group, which is granted nothing yet
    Create {
        /// Name of the group
        name: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// Put users into a group
    Add {
        /// Name or id of the group
        group: String,
        /// Names or ids of users
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Take users out of a group
    Remove {
        /// Name or id of the group
        group: String,
        /// Names or ids of users
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Delete a group with all it was granted; its users stay
    Delete {
        /// Name or id
        group: String,
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
                output.list(&directory::all(session, Noun::Group).await?, &columns(output))
            }
            Self::Members { group } => members(session, &group).await,
            Self::Create { name, description } => {
                let group = json!({"name": name, "description": description.unwrap_or_default()});
                let made = session
                    .client
                    .post("/v3/groups", &json!({"group": group}))
                    .await
                    .map_err(session.failed(lang.what_create(lang.noun_group(), &name)))?;
                output.show(&made["group"], &columns(output))
            }
            Self::Add { group, users } => change(session, &group, &users, true).await,
            Self::Remove { group, users } => change(session, &group, &users, false).await,
            Self::Delete { group, yes } => {
                let id = directory::id(session, Noun::Group, &group).await?;
                session.confirm(&lang.ask_delete_identity(lang.noun_group(), &group), yes)?;
                session
                    .client
                    .delete(&format!("/v3/groups/{id}"))
                    .await
                    .map_err(session.failed(lang.what_delete(lang.noun_group(), &group)))?;
                said(output, &json!({"id": id}), lang.done_delete(lang.noun_group(), &group))
            }
        }
    }
}

async fn members(session: &Session, group: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::Group, group).await?;
    let body = session
        .client
        .get(&format!("/v3/groups/{id}/users"), Vec::new())
        .await
        .map_err(session.failed(lang.what_find(lang.noun_group(), group)))?;
    session.output.list(wire::items(&body, "/users"), &columns(session.output))
}

async fn change(
    session: &Session,
    group: &str,
    users: &[String],
    is_in: bool,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let group_id = directory::id(session, Noun::Group, group).await?;
    for user in users {
        let user_id = directory::id(session, Noun::User, user).await?;
        let path = format!("/v3/groups/{group_id}/users/{user_id}");
        let (answer, done) = if is_in {
            (session.client.put(&path, &json!({})).await, lang.done_joined(user, group))
        } else {
            (session.client.delete(&path).await, lang.done_left(user, group))
        };
        answer.map_err(session.failed(lang.what_member(user, group)))?;
        said(session.output, &json!({"group_id": group_id, "user_id": user_id}), done)?;
    }
    Ok(())
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_description(), Show::At("/description")),
    ]
}
