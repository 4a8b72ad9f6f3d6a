//! `cbr image …`: images of whole servers, each made of a backup that it holds.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::{self, Noun};
use crate::client::wait::WaitArgs;
use crate::client::{ConnectionArgs, job, wire};
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

/// See, make, change and delete images of servers
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// List images
    List {
        /// Only images of this name
        #[arg(long)]
        name: Option<String>,
    },
    /// Show an image
    Show {
        /// Name or id
        image: String,
    },
    /// Make an image of a server's backup, or back a server up and make one of that
    Create(CreateArgs),
    /// Change name, description, memory or protection
    Update(UpdateArgs),
    /// Delete an image; servers made from it stay
    Delete {
        /// Name or id
        image: String,
        /// Delete its backup as well
        #[arg(long)]
        with_backup: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").required(true).args(["from_backup", "from_server"])))]
struct CreateArgs {
    /// Name of the image
    name: String,
    /// Of this backup of a server (name or id)
    #[arg(long, value_name = "BACKUP")]
    from_backup: Option<String>,
    /// Of this server (name or id), which is backed up first
    #[arg(long, value_name = "SERVER", requires = "vault")]
    from_server: Option<String>,
    /// The vault that protects the server (name or id)
    #[arg(long, requires = "from_server")]
    vault: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// The least memory of a server made from it
    #[arg(long, value_name = "MB")]
    min_ram: Option<u64>,
    /// The most memory of a server made from it
    #[arg(long, value_name = "MB")]
    max_ram: Option<u64>,
    /// KEY=VALUE; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)
    .args(["name", "description", "min_ram", "max_ram", "protected"])))]
struct UpdateArgs {
    /// Name or id
    image: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New free text
    #[arg(long)]
    description: Option<String>,
    /// The least memory of a server made from it
    #[arg(long, value_name = "MB")]
    min_ram: Option<u64>,
    /// The most memory of a server made from it; 0: any
    #[arg(long, value_name = "MB")]
    max_ram: Option<u64>,
    /// Whether it cannot be deleted
    #[arg(long, value_name = "true|false")]
    protected: Option<bool>,
}

impl ImageArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            ImageCommand::List { name } => list(&session, name).await,
            ImageCommand::Show { image } => show(output, &session.find(Noun::Image, &image).await?),
            ImageCommand::Create(args) => create(&session, args).await,
            ImageCommand::Update(args) => update(&session, args).await,
            ImageCommand::Delete { image, with_backup, yes } => {
                delete(&session, &image, with_backup, yes).await
            }
        }
    }
}

async fn list(session: &Session, name: Option<String>) -> Result<(), Failure> {
    let lang = session.output.lang;
    let query = name.map(|name| ("name".to_owned(), name)).into_iter().collect();
    let images = lookup::list(&session.client, Noun::Image, &query, usize::MAX)
        .await
        .map_err(session.failed(lang.what_list(lang.noun_image())))?;
    session.output.list(&images, &columns(session.output))
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let body = body(session, &args).await?;
    let answer = session
        .client
        .post("/v1/cloudimages/wholeimages/action", &body)
        .await
        .map_err(session.failed(lang.what_create(lang.noun_image(), &args.name)))?;
    if args.wait.no_wait {
        return job::started(output, &answer);
    }
    let id = wire::text(&answer, "/job_id");
    let job = job::finished(&session.client, output, &id, args.wait).await?;
    show(output, &session.find(Noun::Image, &wire::text(&job, "/entities/image_id")).await?)
}

async fn body(session: &Session, args: &CreateArgs) -> Result<Value, Failure> {
    let mut body = json!({"name": args.name});
    if let Some(backup) = &args.from_backup {
        body["backup_id"] = session.find_id(Noun::Backup, backup).await?.into();
        body["whole_image_type"] = "CBR".into();
    }
    if let Some((server, vault)) = args.from_server.as_ref().zip(args.vault.as_ref()) {
        body["instance_id"] = session.find_id(Noun::Server, server).await?.into();
        body["vault_id"] = session.find_id(Noun::Vault, vault).await?.into();
    }
    let tag = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        json!({"key": key, "value": value})
    };
    let tags: Vec<Value> = args.tags.iter().map(tag).collect();
    let fields = [
        ("description", args.description.clone().map(Value::from)),
        ("min_ram", args.min_ram.map(Value::from)),
        ("max_ram", args.max_ram.map(Value::from)),
        ("image_tags", (!tags.is_empty()).then(|| tags.into())),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            body[key] = value;
        }
    }
    Ok(body)
}

async fn update(session: &Session, args: UpdateArgs) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let id = session.find_id(Noun::Image, &args.image).await?;
    let fields = [
        ("/name", args.name.map(Value::from)),
        ("/__description", args.description.map(Value::from)),
        ("/min_ram", args.min_ram.map(Value::from)),
        ("/max_ram", args.max_ram.map(Value::from)),
        ("/protected", args.protected.map(Value::from)),
    ];
    let changes: Vec<Value> = fields
        .into_iter()
        .filter_map(|(path, value)| Some(json!({"op": "replace", "path": path, "value": value?})))
        .collect();
    let changed = session
        .client
        .patch(&format!("/v2/cloudimages/{id}"), &changes.into())
        .await
        .map_err(session.failed(lang.what_update(lang.noun_image(), &args.image)))?;
    show(output, &changed)
}

async fn delete(
    session: &Session,
    name: &str,
    with_backup: bool,
    yes: bool,
) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let id = session.find_id(Noun::Image, name).await?;
    let question = if with_backup {
        lang.ask_delete_image_with_backup(name)
    } else {
        lang.ask_delete_image(name)
    };
    session.confirm(&question, yes)?;
    session
        .client
        .delete_with(&format!("/v2/images/{id}"), &json!({"delete_backup": with_backup}))
        .await
        .map_err(session.failed(lang.what_delete(lang.noun_image(), name)))?;
    if output.is_json() {
        output.json(&json!({"deleted": id, "with_backup": with_backup}))
    } else {
        output.line(lang.done_delete(lang.noun_image(), name))
    }
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_size_gb(), Show::At("/min_disk")),
        (lang.col_backup_id(), Show::At("/__backup_id")),
        (lang.col_protected(), Show::At("/protected")),
    ]
}

fn show(output: Output, image: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    let mut particulars = columns(output);
    particulars.extend([
        (lang.col_description(), Show::At("/__description")),
        (lang.col_created(), Show::With(|image| wire::time(image, "/created_at"))),
    ]);
    output.show(image, &particulars)
}
