//! `cbr vault tag …`, and finding vaults by their tags.

use std::fmt::Display;

use clap::Subcommand;
use serde_json::{Value, json};

use super::session::Session;
use super::vault::tag;
use crate::client::lookup::Noun;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::Show;
use crate::text::{Lang, texts};

texts! {
    what_tag(vault) "cannot change the tags of vault `{vault}`" | "无法修改存储库 `{vault}` 的标签";
    what_tags() "cannot list tags" | "无法列出标签";
    col_tag_key() "KEY" | "键";
    col_tag_value() "VALUE" | "值";
}

#[derive(Debug, Subcommand)]
pub(super) enum TagCommand {
    /// List the tags of a vault, or without a name those of all vaults
    List {
        /// Name or id
        vault: Option<String>,
    },
    /// Put tags on a vault; a key that is there gets the new value
    Set {
        /// Name or id
        vault: String,
        /// Tags as KEY=VALUE
        #[arg(required = true, value_parser = tag)]
        tags: Vec<(String, String)>,
    },
    /// Take tags off a vault
    Remove {
        /// Name or id
        vault: String,
        /// Their keys
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

/// Runs `cbr vault tag …`.
pub(super) async fn run(session: &Session, command: TagCommand) -> Result<(), Failure> {
    match command {
        TagCommand::List { vault: None } => list_all(session).await,
        TagCommand::List { vault: Some(vault) } => {
            let id = session.find_id(Noun::Vault, &vault).await?;
            list(session, &id).await
        }
        TagCommand::Set { vault, tags } => {
            let tags = tags.iter().map(|(key, value)| json!({"key": key, "value": value}));
            change(session, &vault, &json!({"action": "create", "tags": tags.collect::<Vec<_>>()}))
                .await
        }
        TagCommand::Remove { vault, keys } => {
            let tags = keys.iter().map(|key| json!({"key": key}));
            change(session, &vault, &json!({"action": "delete", "tags": tags.collect::<Vec<_>>()}))
                .await
        }
    }
}

/// The vaults that carry all these tags; one without a value: with any.
pub(super) async fn find(
    session: &Session,
    tags: &[(String, Option<String>)],
) -> Result<Vec<Value>, Failure> {
    let lang = session.output.lang;
    let tags = tags
        .iter()
        .map(|(key, value)| json!({"key": key, "values": value.iter().collect::<Vec<_>>()}));
    let mut body = json!({"action": "filter", "tags": tags.collect::<Vec<_>>()});
    let path = session.client.cbr("vault/resource_instances/action");
    let mut found = Vec::new();
    loop {
        body["offset"] = json!(found.len().to_string());
        let page = session.client.post(&path, &body).await;
        let page = page.map_err(session.failed(lang.what_list(lang.noun_vault())))?;
        let rows = wire::items(&page, "/resources");
        found.extend(rows.iter().filter_map(|row| row.pointer("/resource_detail/vault").cloned()));
        let total = wire::number(&page, "/total_count").unwrap_or(0);
        if rows.is_empty() || found.len() as u64 >= total {
            return Ok(found);
        }
    }
}

async fn change(session: &Session, vault: &str, body: &Value) -> Result<(), Failure> {
    let id = session.find_id(Noun::Vault, vault).await?;
    let path = session.client.cbr(&format!("vault/{id}/tags/action"));
    let changed = session.client.post(&path, body).await;
    changed.map_err(session.failed(session.output.lang.what_tag(vault)))?;
    list(session, &id).await
}

async fn list(session: &Session, id: &str) -> Result<(), Failure> {
    let output = session.output;
    let path = session.client.cbr(&format!("vault/{id}/tags"));
    let tags = session.client.get(&path, Vec::new()).await;
    let tags = tags.map_err(session.failed(output.lang.what_tags()))?;
    output.list(
        wire::items(&tags, "/tags"),
        &[
            (output.lang.col_tag_key(), Show::At("/key")),
            (output.lang.col_tag_value(), Show::At("/value")),
        ],
    )
}

async fn list_all(session: &Session) -> Result<(), Failure> {
    let output = session.output;
    let tags = session.client.get(&session.client.cbr("vault/tags"), Vec::new()).await;
    let tags = tags.map_err(session.failed(output.lang.what_tags()))?;
    let values = |tag: &Value| {
        let values = wire::items(tag, "/values").iter().map(|value| wire::text(value, ""));
        values.collect::<Vec<_>>().join(", ")
    };
    output.list(
        wire::items(&tags, "/tags"),
        &[
            (output.lang.col_tag_key(), Show::At("/key")),
            (output.lang.col_tag_value(), Show::With(values)),
        ],
    )
}
