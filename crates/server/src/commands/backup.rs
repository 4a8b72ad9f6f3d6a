//! `cbr backup …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::backup_retention::RetentionCommand;
use super::backup_share::ShareCommand;
use super::backup_size::{self, with_sizes};
use super::backup_trash;
use super::consistency;
use super::export::{self, ExportArgs, MountArgs};
use super::import::{self, ImportArgs};
use super::session::Session;
use super::vault::bound_ids;
use crate::client::lookup::{self, Noun};
use crate::client::wait::{self, WaitArgs};
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};

/// Make and look after backups
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Back up the resources of a vault now
    Create(CreateArgs),
    /// List backups, newest first
    List(ListArgs),
    /// Show a backup
    Show {
        /// Name or id
        backup: String,
    },
    /// Read a backup to see whether it can be restored
    Verify {
        /// Name or id
        backup: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Give a backup another name
    Rename {
        /// Name or id
        backup: String,
        /// New name
        name: String,
    },
    /// Write the disk of a backup to an image file, or give it out over NBD
    Export(ExportArgs),
    /// Give the disk of a backup out over NBD while this runs
    Mount(MountArgs),
    /// List what is given out over NBD
    Exports,
    /// End what `mount --detach` or `export --nbd` began; what was written is gone
    Unmount {
        /// Id of the export, or name or id of its backup
        export: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Delete backups; all others stay restorable
    Delete {
        /// Names or ids
        #[arg(required = true)]
        backups: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Show what this would free, and delete nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take deleted backups back
    Undelete {
        /// Names or ids, as `cbr backup list --deleted` shows them
        #[arg(required = true)]
        backups: Vec<String>,
        /// Into this vault (name or id); without it, each into the one it was in
        #[arg(long)]
        vault: Option<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Give deleted backups up for good, now
    Purge {
        /// Names or ids, as `cbr backup list --deleted` shows them
        #[arg(required = true)]
        backups: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Take in a raw image from a bucket as a backup
    Import(ImportArgs),
    #[command(flatten)]
    Sharing(ShareCommand),
    #[command(flatten)]
    Retention(RetentionCommand),
    /// Show what backups cost: what each shows, changed, needs alone, shares, and added
    Size {
        /// Names or ids
        #[arg(required = true)]
        backups: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name or id of the vault
    vault: String,
    /// Only this resource of the vault (repeatable)
    #[arg(long = "resource", value_name = "RESOURCE")]
    resources: Vec<String>,
    /// Read and store everything anew, sharing nothing with earlier backups
    #[arg(long)]
    full: bool,
    /// Name of the backups
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Delete them after this many days
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u32>,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those in this vault (name or id)
    #[arg(long)]
    vault: Option<String>,
    /// Only those of this resource (id)
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// Only those with this status
    #[arg(long)]
    status: Option<String>,
    /// Only those of this name
    #[arg(long)]
    name: Option<String>,
    /// Only those of this checkpoint (id)
    #[arg(long, value_name = "ID")]
    checkpoint: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show what each costs and what deleting it would free
    #[arg(long)]
    sizes: bool,
    /// Those that were deleted and can be taken back, and until when
    #[arg(
        long,
        conflicts_with_all = ["vault", "resource", "status", "name", "checkpoint", "limit", "sizes"]
    )]
    deleted: bool,
}

impl BackupArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            BackupCommand::Create(args) => create(&session, args).await,
            BackupCommand::List(ListArgs { deleted: true, .. }) => {
                backup_trash::list(&session).await
            }
            BackupCommand::List(args) => list(&session, args).await,
            BackupCommand::Show { backup } => {
                let mut found = [session.find(Noun::Backup, &backup).await?];
                with_sizes(&session, &mut found).await?;
                with_integrity(&session, &mut found[0]).await?;
                show(output, &found[0])
            }
            BackupCommand::Verify { backup, wait } => verify(&session, &backup, wait).await,
            BackupCommand::Rename { backup, name } => rename(&session, &backup, &name).await,
            BackupCommand::Export(args) => export::export(&session, args).await,
            BackupCommand::Mount(args) => export::mount(&session, args).await,
            BackupCommand::Exports => export::list(&session).await,
            BackupCommand::Unmount { export, yes } => export::unmount(&session, &export, yes).await,
            BackupCommand::Delete { backups, dry_run: true, .. } => {
                backup_size::dry_run(&session, &backups).await
            }
            BackupCommand::Delete { backups, yes, wait, .. } => {
                delete(&session, &backups, yes, wait).await
            }
            BackupCommand::Undelete { backups, vault, wait } => {
                backup_trash::undelete(&session, &backups, vault.as_deref(), wait).await
            }
            BackupCommand::Purge { backups, yes, wait } => {
                backup_trash::purge(&session, &backups, yes, wait).await
            }
            BackupCommand::Import(args) => import::import(&session, args).await,
            BackupCommand::Sharing(command) => command.run(&session).await,
            BackupCommand::Retention(command) => command.run(&session).await,
            BackupCommand::Size { backups } => backup_size::size(&session, &backups).await,
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let vault = session.find(Noun::Vault, &args.vault).await?;
    let vault_id = wire::text(&vault, "/id");
    let mut parameters = json!({"auto_trigger": false, "incremental": !args.full});
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameters[key] = value;
        }
    };
    set("name", args.name.map(Value::from));
    set("description", args.description.map(Value::from));
    set("retention_duration_days", args.keep_days.map(Value::from));
    if !args.resources.is_empty() {
        let path = session.client.cbr(&format!("vaults/{vault_id}"));
        let what = lang.what_find(lang.noun_vault(), &args.vault);
        let full = session.client.get(&path, Vec::new()).await.map_err(session.failed(what))?;
        let ids = bound_ids(&full["vault"], &args.resources, lang)?;
        set("resources", Some(Value::from(ids)));
    }
    let body = json!({"checkpoint": {"vault_id": vault_id, "parameters": parameters}});
    let answer = session
        .client
        .post(&session.client.cbr("checkpoints"), &body)
        .await
        .map_err(session.failed(lang.what_back_up(&args.vault)))?;
    let checkpoint = &answer["checkpoint"];
    let checkpoint_id = wire::text(checkpoint, "/id");
    let skipped = wire::items(checkpoint, "/vault/skipped_resources");
    for resource in skipped {
        output.note(lang.note_skipped(
            wire::text(resource, "/name"),
            wire::text(resource, "/reason"),
            wire::text(resource, "/code"),
        ));
    }
    let query = [("operation_type", "backup"), ("vault_id", vault_id.as_str())];
    let mut tasks =
        session.task_ids(&query, |log| wire::text(log, "/checkpoint_id") == checkpoint_id).await?;
    tasks.reverse(); // Oldest first: in the order in which they were made.
    if args.wait.no_wait {
        let started = json!({"checkpoint": checkpoint, "task_ids": tasks});
        return if output.is_json() {
            output.json(&started)
        } else {
            super::started(output, &tasks)
        };
    }
    let logs = wait::tasks(&session.client, output, &tasks, args.wait).await?;
    let query = vec![("checkpoint_id".to_owned(), checkpoint_id)];
    let mut backups = lookup::list(&session.client, Noun::Backup, &query, usize::MAX)
        .await
        .map_err(session.failed(lang.what_list(lang.noun_backup())))?;
    with_sizes(session, &mut backups).await?;
    if output.is_json() {
        return output
            .json(&json!({"checkpoint": checkpoint, "backups": backups, "operation_logs": logs}));
    }
    let mut columns = columns(output);
    columns.extend(size_columns(output));
    output.list(&backups, &columns)?;
    match skipped.len() {
        0 => Ok(()),
        count => {
            Err(Failure::new(Kind::Failed, lang.what_back_up(&args.vault), lang.why_skipped(count)))
        }
    }
}

async fn list(session: &Session, args: ListArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut query = Vec::new();
    if let Some(vault) = &args.vault {
        query.push(("vault_id".to_owned(), session.find_id(Noun::Vault, vault).await?));
    }
    let filters = [
        ("resource_id", args.resource),
        ("status", args.status),
        ("name", args.name),
        ("checkpoint_id", args.checkpoint),
    ];
    for (key, value) in filters {
        query.extend(value.map(|value| (key.to_owned(), value)));
    }
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut backups = lookup::list(&session.client, Noun::Backup, &query, limit)
        .await
        .map_err(session.failed(lang.what_list(lang.noun_backup())))?;
    let mut columns = columns(session.output);
    if args.sizes {
        with_sizes(session, &mut backups).await?;
        columns.extend(size_columns(session.output));
    }
    session.output.list(&backups, &columns)
}

async fn rename(session: &Session, backup: &str, name: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Backup, backup).await?;
    let answer = session
        .client
        .put(&session.client.cbr(&format!("backups/{id}")), &json!({"backup": {"name": name}}))
        .await
        .map_err(session.failed(lang.what_update(lang.noun_backup(), backup)))?;
    show(session.output, &answer["backup"])
}

async fn delete(
    session: &Session,
    names: &[String],
    yes: bool,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let mut ids = Vec::new();
    for name in names {
        ids.push(session.find_id(Noun::Backup, name).await?);
    }
    let days = backup_trash::undo_days(session).await?;
    let question = match days {
        0 => lang.ask_delete_backup(names.join(", ")),
        days => lang.ask_delete_backup_undo(names.join(", "), days),
    };
    session.confirm(&question, yes)?;
    let mut tasks = Vec::new();
    for (id, name) in ids.iter().zip(names) {
        session
            .client
            .delete(&session.client.cbr(&format!("backups/{id}")))
            .await
            .map_err(session.failed(lang.what_delete(lang.noun_backup(), name)))?;
        let found = session
            .task_ids(&[("operation_type", "delete")], |log| {
                wire::text(log, "/extra_info/delete/backup_id") == *id
            })
            .await?;
        tasks.extend(found.into_iter().next());
    }
    let done = lang.done_delete(lang.noun_backup(), names.join(", "));
    super::conclude(session, &tasks, wait, &backup_trash::done(lang, done, days)).await
}

async fn verify(session: &Session, backup: &str, wait: WaitArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Backup, backup).await?;
    let path = session.client.cbr(&format!("x/backups/{id}/verify"));
    let started = session.client.post(&path, &json!({})).await;
    let started = started.map_err(session.failed(lang.what_verify(backup)))?;
    let task = wire::text(&started, "/job_id");
    super::conclude(session, &[task], wait, &lang.done_verify(backup)).await
}

/// Puts beside a backup what is known of it (an extension).
async fn with_integrity(session: &Session, backup: &mut Value) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = wire::text(backup, "/id");
    let path = session.client.cbr(&format!("x/backups/{id}/integrity"));
    match session.client.get(&path, Vec::new()).await {
        Ok(answer) => backup["integrity"] = answer["integrity"].clone(),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.failure(lang, lang.what_find(lang.noun_backup(), &id))),
    }
    Ok(())
}

/// Columns for what backups cost, once [`with_sizes`] has asked.
fn size_columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_logical(), Show::With(|backup| size(backup, "/sizes/logical_bytes"))),
        (lang.col_stored(), Show::With(|backup| size(backup, "/sizes/stored_bytes"))),
        (lang.col_frees(), Show::With(|backup| size(backup, "/sizes/deletion/stored_bytes"))),
    ]
}

/// The columns of a list of backups.
fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_resource(), Show::At("/resource_name")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_kind(), Show::With(kind)),
        (lang.col_size_gb(), Show::At("/resource_size")),
        (lang.col_created(), Show::With(|backup| wire::time(backup, "/created_at"))),
    ]
}

fn show(output: Output, backup: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    let mut particulars = columns(output);
    particulars.extend(size_columns(output));
    particulars.extend([
        (lang.col_description(), Show::At("/description")),
        (lang.col_vault(), Show::At("/vault_id")),
        (lang.col_checkpoint(), Show::At("/checkpoint_id")),
        (lang.col_resource_id(), Show::At("/resource_id")),
        (lang.col_type(), Show::At("/resource_type")),
        (lang.col_encrypted(), Show::At("/extend_info/encrypted")),
        (lang.col_expires(), Show::With(|backup| wire::time(backup, "/expired_at"))),
        (lang.col_integrity(), Show::At("/integrity/state")),
        (lang.col_verified(), Show::With(|backup| wire::time(backup, "/integrity/verified_at"))),
    ]);
    particulars.extend(consistency::of_backup(output));
    output.show(backup, &particulars)?;
    let children = wire::items(backup, "/children");
    if output.is_json() || children.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.list(children, &columns(output))
}

fn kind(backup: &Value) -> String {
    match backup["incremental"].as_bool() {
        Some(true) => "incremental".into(),
        Some(false) => "full".into(),
        None => String::new(),
    }
}

fn size(backup: &Value, pointer: &str) -> String {
    wire::number(backup, pointer).map(crate::output::bytes).unwrap_or_default()
}
