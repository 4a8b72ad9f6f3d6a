//! `cbr task …` and `cbr checkpoint …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::consistency;
use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wait::{self, WaitArgs};
use crate::client::{ConnectionArgs, wire};
use crate::failure::Failure;
use crate::output::{Column, Output, Show};

/// See what the service is doing and did
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// List tasks, newest first
    List {
        /// Only tasks with this status: waiting, running, success, failed, timeout, skipped
        #[arg(long)]
        status: Option<String>,
        /// Only tasks of this type: backup, restore, delete, vault_delete, remove_resource
        #[arg(long = "type", value_name = "TYPE")]
        operation: Option<String>,
        /// Only tasks of this vault (name or id)
        #[arg(long)]
        vault: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Show a task
    Show {
        /// Id
        task: String,
    },
    /// Follow tasks until they end; without ids, all that have not ended. With `-o json` every change is a line
    Watch {
        /// Ids
        tasks: Vec<String>,
        /// Give up after this many seconds (the work goes on)
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Stop a backup that is being made; what it wrote is removed
    Cancel {
        /// Id
        task: String,
    },
}

impl TaskArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        let lang = output.lang;
        match self.command {
            TaskCommand::List { status, operation, vault, limit } => {
                let mut query = vec![("limit".to_owned(), limit.to_string())];
                query.extend(status.map(|status| ("status".to_owned(), status)));
                query.extend(operation.map(|kind| ("operation_type".to_owned(), kind)));
                if let Some(vault) = vault {
                    let id = session.find_id(Noun::Vault, &vault).await?;
                    query.push(("vault_id".to_owned(), id));
                }
                let body = session
                    .client
                    .get(&session.client.cbr("operation-logs"), query)
                    .await
                    .map_err(session.failed(lang.what_list_tasks()))?;
                output.list(wire::items(&body, "/operation_logs"), &columns(output))
            }
            TaskCommand::Show { task } => {
                let body = session
                    .client
                    .get(&session.client.cbr(&format!("operation-logs/{task}")), Vec::new())
                    .await
                    .map_err(session.failed(lang.what_find(lang.noun_task(), &task)))?;
                show(output, &body["operation_log"])
            }
            TaskCommand::Watch { tasks, timeout } => watch(&session, tasks, timeout).await,
            TaskCommand::Cancel { task } => {
                let body = session
                    .client
                    .post(
                        &session.client.cbr(&format!("x/operation-logs/{task}/cancel")),
                        &json!({}),
                    )
                    .await
                    .map_err(session.failed(lang.what_cancel_task(&task)))?;
                if output.is_json() {
                    output.json(&body)
                } else {
                    output.line(lang.done_cancel_task(&task))
                }
            }
        }
    }
}

async fn watch(
    session: &Session,
    mut tasks: Vec<String>,
    timeout: Option<u64>,
) -> Result<(), Failure> {
    let output = session.output;
    if tasks.is_empty() {
        tasks = session.task_ids(&[], |log| !wait::is_final(log)).await?;
        tasks.reverse();
    }
    let wait = WaitArgs { no_wait: false, timeout };
    let logs = wait::watched(&session.client, output, &tasks, wait).await?;
    // Programs had every state already, the last ones too.
    if output.is_json() { Ok(()) } else { output.list(&logs, &columns(output)) }
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_type(), Show::At("/operation_type")),
        (lang.col_resource(), Show::At("/extra_info/resource/name")),
        (lang.col_vault(), Show::At("/vault_name")),
        (lang.col_status(), Show::At("/status")),
        (
            lang.col_progress(),
            Show::With(|log| format!("{}%", wire::text(log, "/extra_info/common/progress"))),
        ),
        (lang.col_started(), Show::With(|log| wire::time(log, "/started_at"))),
        (lang.col_ended(), Show::With(|log| wire::time(log, "/ended_at"))),
    ]
}

fn show(output: Output, log: &Value) -> Result<(), Failure> {
    let lang = output.lang;
    let mut particulars = columns(output);
    particulars.extend([
        (lang.col_checkpoint(), Show::At("/checkpoint_id")),
        (lang.label_code(), Show::At("/error_info/code")),
        (lang.label_error(), Show::At("/error_info/message")),
        (lang.label_request(), Show::At("/extra_info/common/request_id")),
    ]);
    particulars.extend(consistency::of_task(output));
    output.show(log, &particulars)
}

/// Look at one run over a vault
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: CheckpointCommand,
}

#[derive(Debug, Subcommand)]
enum CheckpointCommand {
    /// Show a checkpoint and the resources it took
    Show {
        /// Id
        checkpoint: String,
    },
}

impl CheckpointArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        let lang = output.lang;
        let CheckpointCommand::Show { checkpoint: id } = self.command;
        let body = session
            .client
            .get(&session.client.cbr(&format!("checkpoints/{id}")), Vec::new())
            .await
            .map_err(session.failed(lang.what_find(lang.noun_checkpoint(), &id)))?;
        let checkpoint = &body["checkpoint"];
        output.show(
            checkpoint,
            &[
                (lang.col_id(), Show::At("/id")),
                (lang.col_name(), Show::At("/extra_info/name")),
                (lang.col_description(), Show::At("/extra_info/description")),
                (lang.col_vault(), Show::At("/vault/name")),
                (lang.col_status(), Show::At("/status")),
                (lang.col_created(), Show::With(|thing| wire::time(thing, "/created_at"))),
            ],
        )?;
        if output.is_json() {
            return Ok(());
        }
        output.line("")?;
        output.list(
            wire::items(checkpoint, "/vault/resources"),
            &[
                (lang.col_resource_id(), Show::At("/id")),
                (lang.col_name(), Show::At("/name")),
                (lang.col_size_gb(), Show::At("/resource_size")),
                (lang.col_status(), Show::At("/protect_status")),
            ],
        )
    }
}
