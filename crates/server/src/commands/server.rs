//! `cbr server …`: servers, those of the configuration and those made here.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use super::volume::list;
use crate::client::lookup::Noun;
use crate::client::wait::WaitArgs;
use crate::client::{ConnectionArgs, job, wire};
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

/// See servers, start and stop them; make them from images, change and delete those
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: ServerCommand,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// List servers
    List {
        /// Only servers of this name
        #[arg(long)]
        name: Option<String>,
    },
    /// Show a server and its disks
    Show {
        /// Name or id
        server: String,
    },
    /// Start a server by the operator's command
    Start(PowerArgs),
    /// Shut a server down by the operator's command
    Stop(PowerArgs),
    /// Shut a server down and start it again
    Reboot(PowerArgs),
    /// Make a server with all disks of an image; it is off
    Create(CreateArgs),
    /// Attach an available disk to a server that was made here and is off
    Attach(DiskArgs),
    /// Take a data disk from a server that was made here and is off
    Detach(DiskArgs),
    /// Stop and delete a server that was made here; its disks stay
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct PowerArgs {
    /// Name or id
    server: String,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name of the server
    name: String,
    /// The image (name or id)
    #[arg(long)]
    image: String,
    /// Size of the system disk in GB; default: as in the image
    #[arg(long, value_name = "GB")]
    root_size: Option<u64>,
    /// Pool of its disks
    #[arg(long)]
    pool: Option<String>,
    /// Availability zone
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct DiskArgs {
    /// Name or id of the server
    server: String,
    /// Name or id of the disk
    volume: String,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// Name or id
    server: String,
    /// Delete its disks as well
    #[arg(long)]
    with_volumes: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

impl ServerArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            ServerCommand::List { name } => {
                list(&session, Noun::Server, name, &columns(output)).await
            }
            ServerCommand::Show { server } => {
                show(output, &session.find(Noun::Server, &server).await?)
            }
            ServerCommand::Start(args) => power(&session, "os-start", args).await,
            ServerCommand::Stop(args) => power(&session, "os-stop", args).await,
            ServerCommand::Reboot(args) => power(&session, "reboot", args).await,
            ServerCommand::Create(args) => create(&session, args).await,
            ServerCommand::Attach(args) => attach(&session, args).await,
            ServerCommand::Detach(args) => detach(&session, args).await,
            ServerCommand::Delete(args) => delete(&session, args).await,
        }
    }
}

/// The path of servers, or of one of them, or of something about it.
fn path(session: &Session, rest: &str) -> String {
    format!("/v1/{}/cloudservers{rest}", session.client.project())
}

/// `action`: the word of the server service.
async fn power(session: &Session, action: &str, args: PowerArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Server, &args.server).await?;
    let answer = session
        .client
        .post(&path(session, "/action"), &json!({action: {"servers": [{"id": id}]}}))
        .await
        .map_err(session.failed(lang.what_update(lang.noun_server(), &args.server)))?;
    end(session, &answer, &id, args.wait).await
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let image = session.find_id(Noun::Image, &args.image).await?;
    let mut server = json!({"name": args.name, "imageRef": image, "root_volume": {}});
    if let Some(size) = args.root_size {
        server["root_volume"]["size"] = size.into();
    }
    if let Some(pool) = args.pool {
        server["root_volume"]["volumetype"] = pool.into();
    }
    if let Some(zone) = args.zone {
        server["availability_zone"] = zone.into();
    }
    let answer = session
        .client
        .post(&path(session, ""), &json!({"server": server}))
        .await
        .map_err(session.failed(lang.what_create(lang.noun_server(), &args.name)))?;
    end(session, &answer, &wire::text(&answer, "/serverIds/0"), args.wait).await
}

async fn attach(session: &Session, args: DiskArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Server, &args.server).await?;
    let volume = session.find_id(Noun::Volume, &args.volume).await?;
    let body = json!({"volumeAttachment": {"volumeId": volume}});
    let answer = session
        .client
        .post(&path(session, &format!("/{id}/attachvolume")), &body)
        .await
        .map_err(session.failed(lang.what_update(lang.noun_server(), &args.server)))?;
    end(session, &answer, &id, args.wait).await
}

async fn detach(session: &Session, args: DiskArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Server, &args.server).await?;
    let volume = session.find_id(Noun::Volume, &args.volume).await?;
    let answer = session
        .client
        .delete(&path(session, &format!("/{id}/detachvolume/{volume}")))
        .await
        .map_err(session.failed(lang.what_update(lang.noun_server(), &args.server)))?;
    end(session, &answer, &id, args.wait).await
}

async fn delete(session: &Session, args: DeleteArgs) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let name = &args.server;
    let id = session.find_id(Noun::Server, name).await?;
    let question = if args.with_volumes {
        lang.ask_delete_server_with_volumes(name)
    } else {
        lang.ask_delete_server(name)
    };
    session.confirm(&question, args.yes)?;
    let body = json!({"servers": [{"id": id}], "delete_volume": args.with_volumes});
    let answer = session
        .client
        .post(&path(session, "/delete"), &body)
        .await
        .map_err(session.failed(lang.what_delete(lang.noun_server(), name)))?;
    if args.wait.no_wait {
        return job::started(output, &answer);
    }
    let job = wire::text(&answer, "/job_id");
    let job = job::finished(&session.client, output, &job, args.wait).await?;
    if output.is_json() {
        output.json(&job)
    } else {
        output.line(lang.done_delete(lang.noun_server(), name))
    }
}

/// Waits for the job, and shows the server as it is then.
async fn end(
    session: &Session,
    answer: &Value,
    server: &str,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let output = session.output;
    if wait.no_wait {
        return job::started(output, answer);
    }
    job::finished(&session.client, output, &wire::text(answer, "/job_id"), wait).await?;
    show(output, &session.find(Noun::Server, server).await?)
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_zone(), Show::At("/OS-EXT-AZ:availability_zone")),
        (
            lang.col_disks(),
            Show::With(|server| {
                wire::items(server, "/os-extended-volumes:volumes_attached").len().to_string()
            }),
        ),
    ]
}

fn show(output: Output, server: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    output.show(server, &columns(output))?;
    let disks = wire::items(server, "/os-extended-volumes:volumes_attached");
    if output.is_json() || disks.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.list(
        disks,
        &[
            (lang.col_volume_id(), Show::At("/id")),
            (lang.col_device(), Show::At("/device")),
            (lang.col_boot_index(), Show::At("/bootIndex")),
        ],
    )
}
