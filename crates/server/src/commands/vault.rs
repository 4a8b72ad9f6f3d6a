//! `cbr vault …`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::backup_trash;
use super::session::Session;
use super::vault_more::{self, MoreCommand};
use super::vault_policy::{self, BindPolicyArgs, UnbindPolicyArgs};
use super::vault_tags::{self, TagCommand};
use crate::client::lookup::{self, Noun};
use crate::client::wait::WaitArgs;
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};
use crate::text::Lang;

/// Make and look after vaults
#[derive(Debug, Args)]
pub(crate) struct VaultArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Debug, Subcommand)]
enum VaultCommand {
    /// Make a vault
    Create(CreateArgs),
    /// List vaults
    List(ListArgs),
    /// Show a vault and the resources in it
    Show {
        /// Name or id
        vault: String,
    },
    /// Change a vault
    Update(UpdateArgs),
    /// Delete a vault with all backups in it
    Delete {
        /// Name or id
        vault: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Put disks or servers under the protection of a vault
    Bind {
        /// Name or id
        vault: String,
        /// Names or ids of disks (of servers, for a vault of servers)
        #[arg(required = true)]
        resources: Vec<String>,
        /// Leave this disk of the server out of its backups (repeatable)
        #[arg(long, value_name = "VOLUME")]
        exclude: Vec<String>,
    },
    /// Look after the tags of vaults
    #[command(subcommand)]
    Tag(TagCommand),
    #[command(flatten)]
    More(MoreCommand),
    /// Take disks or servers out of a vault; their backups in it are deleted
    Unbind {
        /// Name or id
        vault: String,
        /// Names or ids of disks or servers
        #[arg(required = true)]
        resources: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Let a policy work for a vault, in place of the one of its type
    BindPolicy(BindPolicyArgs),
    /// Take a policy off a vault; backups stay
    UnbindPolicy(UnbindPolicyArgs),
}

/// The level of a vault for database backups.
const DATABASE: &str = "app_consistent";

/// What a vault protects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ObjectType {
    /// Whole servers
    Server,
    /// Single disks
    Disk,
    /// File systems (there are none to bind)
    Turbo,
    /// Directories of hosts, as in a hybrid cloud (no agent makes backups yet)
    #[value(alias = "hybrid")]
    File,
}

impl ObjectType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Disk => "disk",
            Self::Turbo => "turbo",
            Self::File => "file",
        }
    }
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name of the vault
    name: String,
    /// What it protects
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    object_type: ObjectType,
    /// Capacity in GB; for files a multiple of 1024
    #[arg(long, value_name = "GB")]
    size: u64,
    /// For databases: backups of its servers shall be application consistent. No agent does that yet, so ordinary
    /// ones are made, and say so
    #[arg(long)]
    database: bool,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Bind this disk or server at once (repeatable)
    #[arg(long = "resource", value_name = "RESOURCE")]
    resources: Vec<String>,
    /// Grow by itself when full
    #[arg(long)]
    auto_expand: bool,
    /// Tag as KEY=VALUE (repeatable)
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only vaults of this name
    #[arg(long)]
    name: Option<String>,
    /// Only vaults of this type
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    object_type: Option<ObjectType>,
    /// Only vaults with this tag (repeatable: with all of them)
    #[arg(long = "tag", value_name = "KEY[=VALUE]", value_parser = asked_tag,
          conflicts_with_all = ["name", "object_type"])]
    tags: Vec<(String, Option<String>)>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true)]
struct Changes {
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New capacity in GB
    #[arg(long, value_name = "GB")]
    size: Option<u64>,
    /// Make a vault of servers one for database backups; there is no way back
    #[arg(long)]
    database: bool,
    /// Whether it grows by itself when full
    #[arg(long, value_name = "BOOL")]
    auto_expand: Option<bool>,
    /// Used share in percent from which it warns
    #[arg(long, value_name = "PERCENT")]
    threshold: Option<u64>,
    /// Whether it warns at all
    #[arg(long, value_name = "BOOL")]
    notify: Option<bool>,
}

#[derive(Debug, Args)]
struct UpdateArgs {
    /// Name or id
    vault: String,
    #[command(flatten)]
    changes: Changes,
}

fn asked_tag(text: &str) -> Result<(String, Option<String>), String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    if key.is_empty() { Err("a tag is KEY or KEY=VALUE".into()) } else { Ok((key.into(), value)) }
}

pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("a tag is KEY=VALUE".into()) } else { Ok((key.into(), value.into())) }
}

impl VaultArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            VaultCommand::Create(args) => create(&session, args).await,
            VaultCommand::List(args) => list(&session, args).await,
            VaultCommand::Show { vault } => {
                let vault = session.find(Noun::Vault, &vault).await?;
                let vault = reread(&session, &wire::text(&vault, "/id")).await?;
                show(output, &vault)
            }
            VaultCommand::Update(args) => update(&session, args).await,
            VaultCommand::Delete { vault, yes, wait } => delete(&session, &vault, yes, wait).await,
            VaultCommand::Bind { vault, resources, exclude } => {
                bind(&session, &vault, &resources, &exclude).await
            }
            VaultCommand::Tag(command) => vault_tags::run(&session, command).await,
            VaultCommand::More(command) => vault_more::run(&session, command).await,
            VaultCommand::Unbind { vault, resources, yes, wait } => {
                unbind(&session, &vault, &resources, yes, wait).await
            }
            VaultCommand::BindPolicy(args) => vault_policy::bind(&session, args).await,
            VaultCommand::UnbindPolicy(args) => vault_policy::unbind(&session, args).await,
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let resources =
        resource_bodies(session, args.object_type.as_str(), &args.resources, &[]).await?;
    let tags: Vec<Value> =
        args.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let body = json!({"vault": {
        "name": args.name,
        "description": args.description,
        "resources": resources,
        "tags": tags,
        "auto_expand": args.auto_expand,
        "billing": {
            "cloud_type": "public",
            "protect_type": "backup",
            "charging_mode": "post_paid",
            "consistent_level": if args.database { DATABASE } else { "crash_consistent" },
            "object_type": args.object_type.as_str(),
            "size": args.size,
        },
    }});
    let answer = session
        .client
        .post(&session.client.cbr("vaults"), &body)
        .await
        .map_err(session.failed(lang.what_create(lang.noun_vault(), &args.name)))?;
    show(session.output, &answer["vault"])
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut query = Vec::new();
    if let Some(name) = args.name {
        query.push(("name".to_owned(), name));
    }
    if let Some(object_type) = args.object_type {
        query.push(("object_type".to_owned(), object_type.as_str().to_owned()));
    }
    let limit = args.limit.unwrap_or(usize::MAX);
    let vaults = if args.tags.is_empty() {
        lookup::list(&session.client, Noun::Vault, &query, limit)
            .await
            .map_err(session.failed(lang.what_list(lang.noun_vault())))?
    } else {
        let mut found = vault_tags::find(session, &args.tags).await?;
        found.truncate(limit);
        found
    };
    session.output.list(
        &vaults,
        &[
            (lang.col_id(), Show::At("/id")),
            (lang.col_name(), Show::At("/name")),
            (lang.col_type(), Show::At("/billing/object_type")),
            (lang.col_status(), Show::At("/billing/status")),
            (lang.col_size_gb(), Show::At("/billing/size")),
            (lang.col_used(), Show::With(used)),
            (
                lang.col_resources(),
                Show::With(|vault| wire::items(vault, "/resources").len().to_string()),
            ),
        ],
    )
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Vault, &args.vault).await?;
    let Changes { name, size, database, auto_expand, threshold, notify } = args.changes;
    let mut vault = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            vault.insert(key.into(), value);
        }
    };
    set("name", name.map(Value::from));
    set("auto_expand", auto_expand.map(Value::from));
    set("threshold", threshold.map(Value::from));
    set("smn_notify", notify.map(Value::from));
    let mut billing = Map::new();
    billing.extend(size.map(|size| ("size".to_owned(), json!(size))));
    billing.extend(database.then(|| ("consistent_level".to_owned(), json!(DATABASE))));
    set("billing", Some(billing).filter(|billing| !billing.is_empty()).map(Value::from));
    let answer = session
        .client
        .put(&session.client.cbr(&format!("vaults/{id}")), &json!({"vault": vault}))
        .await
        .map_err(session.failed(lang.what_update(lang.noun_vault(), &args.vault)))?;
    show(session.output, &answer["vault"])
}

async fn delete(session: &Session, name: &str, yes: bool, wait: WaitArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let vault = session.find(Noun::Vault, name).await?;
    let id = wire::text(&vault, "/id");
    let held_backups = wire::number(&vault, "/billing/used").is_some_and(|used| used > 0);
    let days = if held_backups { backup_trash::undo_days(session).await? } else { 0 };
    session.confirm(&lang.ask_delete_vault(name), yes)?;
    // A prepaid vault goes by the end of its order.
    let deleted = if wire::text(&vault, "/billing/charging_mode") == "pre_paid" {
        let path = session.client.cbr(&format!("x/vaults/{id}/unsubscribe"));
        session.client.post(&path, &json!({})).await
    } else {
        session.client.delete(&session.client.cbr(&format!("vaults/{id}"))).await
    };
    deleted.map_err(session.failed(lang.what_delete(lang.noun_vault(), name)))?;
    let query = [("operation_type", "vault_delete"), ("vault_id", id.as_str())];
    let mut tasks = session.task_ids(&query, |_| true).await?;
    tasks.truncate(1);
    let done = lang.done_delete(lang.noun_vault(), name);
    super::conclude(session, &tasks, wait, &backup_trash::done(lang, done, days)).await
}

async fn bind(
    session: &Session,
    name: &str,
    resources: &[String],
    exclude: &[String],
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let vault = session.find(Noun::Vault, name).await?;
    let id = wire::text(&vault, "/id");
    let object_type = wire::text(&vault, "/billing/object_type");
    let resources = resource_bodies(session, &object_type, resources, exclude).await?;
    session
        .client
        .post(
            &session.client.cbr(&format!("vaults/{id}/addresources")),
            &json!({"resources": resources}),
        )
        .await
        .map_err(session.failed(lang.what_bind(name)))?;
    show(session.output, &reread(session, &id).await?)
}

async fn unbind(
    session: &Session,
    name: &str,
    resources: &[String],
    yes: bool,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let vault = session.find(Noun::Vault, name).await?;
    let vault = reread(session, &wire::text(&vault, "/id")).await?;
    let id = wire::text(&vault, "/id");
    let ids = bound_ids(&vault, resources, lang)?;
    let days = backup_trash::undo_days(session).await?;
    session.confirm(&lang.ask_unbind(resources.join(", "), name), yes)?;
    session
        .client
        .post(
            &session.client.cbr(&format!("vaults/{id}/removeresources")),
            &json!({"resource_ids": ids}),
        )
        .await
        .map_err(session.failed(lang.what_unbind(name)))?;
    let mut tasks = Vec::new();
    for resource in &ids {
        let query = [("operation_type", "remove_resource"), ("vault_id", id.as_str())];
        let found = session
            .task_ids(&query, |log| {
                wire::text(log, "/extra_info/resource/id") == *resource
                    || wire::items(log, "/extra_info/remove_resources/resources")
                        .iter()
                        .any(|removed| wire::text(removed, "/id") == *resource)
            })
            .await?;
        tasks.extend(found.into_iter().next());
    }
    tasks.dedup();
    let done = lang.done_unbind(resources.join(", "), name);
    super::conclude(session, &tasks, wait, &backup_trash::done(lang, done, days)).await
}

/// The ids of resources of a vault, named by name or id.
pub(super) fn bound_ids(
    vault: &Value,
    names: &[String],
    lang: Lang,
) -> Result<Vec<String>, Failure> {
    let bound = wire::items(vault, "/resources");
    let vault_name = wire::text(vault, "/name");
    let mut ids = Vec::new();
    for name in names {
        let matches: Vec<String> = bound
            .iter()
            .filter(|resource| {
                wire::text(resource, "/id") == *name || wire::text(resource, "/name") == *name
            })
            .map(|resource| wire::text(resource, "/id"))
            .collect();
        let what = lang.what_find(lang.noun_resource(), name);
        match &matches[..] {
            [id] => ids.push(id.clone()),
            [] => {
                return Err(Failure::new(
                    Kind::NotFound,
                    what,
                    lang.why_not_in_vault(name, &vault_name),
                )
                .with_next(lang.next_show_vault(&vault_name)));
            }
            several => {
                let why = lang.why_ambiguous(several.len(), name, several.join(", "));
                return Err(Failure::new(Kind::Usage, what, why).with_next(lang.next_ambiguous()));
            }
        }
    }
    Ok(ids)
}

async fn resource_bodies(
    session: &Session,
    object_type: &str,
    names: &[String],
    exclude: &[String],
) -> Result<Vec<Value>, Failure> {
    let (noun, kind) = match object_type {
        "server" => (Noun::Server, "OS::Nova::Server"),
        // Nothing lists these: an id is told to the service, which says why it cannot be bound.
        "turbo" => return Ok(named(names, "OS::Sfs::Turbo")),
        "file" => return Ok(named(names, "OS::Native::Server")),
        _ => (Noun::Volume, "OS::Cinder::Volume"),
    };
    let mut excluded = Vec::new();
    for volume in exclude {
        excluded.push(session.find_id(Noun::Volume, volume).await?);
    }
    let mut bodies = Vec::new();
    for name in names {
        let thing = session.find(noun, name).await?;
        let mut body = json!({"id": thing["id"], "name": thing["name"], "type": kind});
        if !excluded.is_empty() {
            body["extra_info"] = json!({"exclude_volumes": excluded});
        }
        bodies.push(body);
    }
    Ok(bodies)
}

fn named(ids: &[String], kind: &str) -> Vec<Value> {
    ids.iter().map(|id| json!({"id": id, "type": kind})).collect()
}

pub(super) async fn reread(session: &Session, id: &str) -> Result<Value, Failure> {
    let lang = session.output.lang;
    lookup::by_id(&session.client, Noun::Vault, id)
        .await
        .map_err(session.failed(lang.what_find(lang.noun_vault(), id)))
}

pub(super) fn show(output: Output, vault: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    let particulars: [Column; 13] = [
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_description(), Show::At("/description")),
        (lang.col_type(), Show::At("/billing/object_type")),
        (lang.col_specification(), Show::At("/billing/spec_code")),
        (lang.col_status(), Show::At("/billing/status")),
        (lang.col_size_gb(), Show::At("/billing/size")),
        (lang.col_used(), Show::With(used)),
        (lang.col_created(), Show::With(|vault| wire::time(vault, "/created_at"))),
        (lang.col_auto_expand(), Show::At("/auto_expand")),
        (lang.col_charging(), Show::At("/billing/charging_mode")),
        (lang.col_locked(), Show::At("/locked")),
        (lang.col_tags(), Show::With(tags)),
    ];
    output.show(vault, &particulars)?;
    let resources = wire::items(vault, "/resources");
    if output.is_json() || resources.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.list(
        resources,
        &[
            (lang.col_resource_id(), Show::At("/id")),
            (lang.col_name(), Show::At("/name")),
            (lang.col_size_gb(), Show::At("/size")),
            (lang.col_status(), Show::At("/protect_status")),
            (lang.col_backups(), Show::At("/backup_count")),
        ],
    )
}

fn tags(vault: &Value) -> String {
    let tags = wire::items(vault, "/tags").iter();
    let tags = tags.map(|tag| format!("{}={}", wire::text(tag, "/key"), wire::text(tag, "/value")));
    tags.collect::<Vec<_>>().join(" ")
}

/// The contract counts used capacity in MB.
fn used(vault: &Value) -> String {
    let megabytes = wire::number(vault, "/billing/used").unwrap_or(0);
    crate::output::bytes(megabytes << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_a_vault_are_found_by_name_or_id_but_never_by_chance() {
        let vault = json!({"name": "v", "resources": [
            {"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "b"},
        ]});
        let find = |name: &str| bound_ids(&vault, &[name.to_owned()], Lang::En);
        assert_eq!(find("a").unwrap(), ["1"]);
        assert_eq!(find("3").unwrap(), ["3"]);
        assert_eq!(find("b").unwrap_err().kind, Kind::Usage);
        assert_eq!(find("c").unwrap_err().kind, Kind::NotFound);
    }
}
