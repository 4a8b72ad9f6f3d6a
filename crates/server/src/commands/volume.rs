//! `cbr volume …`: disks.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::{self, Noun};
use crate::client::wait::WaitArgs;
use crate::client::{ConnectionArgs, job, wire};
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

/// See, make and delete disks
#[derive(Debug, Args)]
pub(crate) struct VolumeArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: VolumeCommand,
}

#[derive(Debug, Subcommand)]
enum VolumeCommand {
    /// List disks
    List {
        /// Only disks of this name
        #[arg(long)]
        name: Option<String>,
    },
    /// Show a disk
    Show {
        /// Name or id
        volume: String,
    },
    /// Make an empty disk, or one from a backup
    Create(CreateArgs),
    /// Delete a disk and its content
    Delete {
        /// Name or id
        volume: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name of the disk
    name: String,
    /// Size in GB; not needed with --from-backup
    #[arg(long, value_name = "GB", required_unless_present = "from_backup")]
    size: Option<u64>,
    /// Pool to make it in
    #[arg(long)]
    pool: Option<String>,
    /// Availability zone
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Fill it from this backup of a disk (name or id)
    #[arg(long, value_name = "BACKUP")]
    from_backup: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

impl VolumeArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            VolumeCommand::List { name } => {
                list(&session, Noun::Volume, name, &volume_columns(output)).await
            }
            VolumeCommand::Show { volume } => {
                show_volume(output, &session.find(Noun::Volume, &volume).await?)
            }
            VolumeCommand::Create(args) => create(&session, args).await,
            VolumeCommand::Delete { volume, yes, wait } => {
                delete(&session, &volume, yes, wait).await
            }
        }
    }
}

pub(super) async fn list(
    session: &Session,
    noun: Noun,
    name: Option<String>,
    columns: &[Column],
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let query = name.map(|name| ("name".to_owned(), name)).into_iter().collect();
    let things = lookup::list(&session.client, noun, &query, usize::MAX)
        .await
        .map_err(session.failed(lang.what_list(noun.word(lang))))?;
    session.output.list(&things, columns)
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let mut volume = json!({"name": args.name, "count": 1});
    let backup = match &args.from_backup {
        Some(backup) => Some(session.find_id(Noun::Backup, backup).await?),
        None => None,
    };
    let fields = [
        ("size", args.size.map(Value::from)),
        ("volume_type", args.pool.map(Value::from)),
        ("availability_zone", args.zone.map(Value::from)),
        ("backup_id", backup.map(Value::from)),
        ("description", args.description.map(Value::from)),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            volume[key] = value;
        }
    }
    let path = format!("/v2.1/{}/cloudvolumes", session.client.project());
    let answer = session
        .client
        .post(&path, &json!({"volume": volume}))
        .await
        .map_err(session.failed(lang.what_create(lang.noun_volume(), &args.name)))?;
    if args.wait.no_wait {
        return job::started(output, &answer);
    }
    job::finished(&session.client, output, &wire::text(&answer, "/job_id"), args.wait).await?;
    let id = wire::text(&answer, "/volume_ids/0");
    show_volume(output, &session.find(Noun::Volume, &id).await?)
}

async fn delete(session: &Session, name: &str, yes: bool, wait: WaitArgs) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let id = session.find_id(Noun::Volume, name).await?;
    session.confirm(&lang.ask_delete_volume(name), yes)?;
    let answer = session
        .client
        .delete(&Noun::Volume.path(&session.client, &id))
        .await
        .map_err(session.failed(lang.what_delete(lang.noun_volume(), name)))?;
    if wait.no_wait {
        return job::started(output, &answer);
    }
    let job = job::finished(&session.client, output, &wire::text(&answer, "/job_id"), wait).await?;
    if output.is_json() {
        output.json(&job)
    } else {
        output.line(lang.done_delete(lang.noun_volume(), name))
    }
}

fn volume_columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_size_gb(), Show::At("/size")),
        (lang.col_pool(), Show::At("/volume_type")),
        (lang.col_zone(), Show::At("/availability_zone")),
        (
            lang.col_server(),
            Show::With(|volume| {
                let servers: Vec<_> = wire::items(volume, "/attachments")
                    .iter()
                    .map(|attachment| wire::text(attachment, "/server_id"))
                    .collect();
                servers.join(", ")
            }),
        ),
    ]
}

fn show_volume(output: Output, volume: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    let mut particulars = volume_columns(output);
    particulars.extend([
        (lang.col_description(), Show::At("/description")),
        (lang.col_encrypted(), Show::At("/encrypted")),
        (lang.col_created(), Show::With(|volume| wire::time(volume, "/created_at"))),
    ]);
    output.show(volume, &particulars)
}
