//! `cbr agent …`: hosts whose files are to be backed up.

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::signer::encoded;
use crate::client::{ConnectionArgs, wire};
use crate::failure::Failure;
use crate::output::{Column, Output, Show};
use crate::text::{Lang, texts};

texts! {
    noun_agent() "agent" | "客户端";
    col_host() "HOST" | "主机";
    col_address() "ADDRESS" | "地址";
    col_os() "SYSTEM" | "操作系统";
    col_directories() "DIRECTORIES" | "目录";
    col_seen() "LAST SEEN" | "最近活跃";
    ask_remove_agent(id) "Forget agent {id} with its directories?" | "移除客户端 {id} 及其目录？";
}

/// See the agents of hosts whose files are to be backed up
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// List agents, newest first
    List {
        /// Only those: normal, abnormal or uninstall
        #[arg(long)]
        status: Option<String>,
    },
    /// Show an agent
    Show {
        /// Id
        agent: String,
    },
    /// Forget an agent with its directories
    Remove {
        /// Id
        agent: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl AgentArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        let lang = output.lang;
        let path = |id: &str| session.client.cbr(&format!("agents/{}", encoded(id)));
        match self.command {
            AgentCommand::List { status } => {
                let query = status.map(|status| ("status".to_owned(), status));
                let all = session.client.cbr("agents");
                let listed = session.client.get(&all, query.into_iter().collect()).await;
                let what = lang.what_list(lang.noun_agent());
                let listed = listed.map_err(session.failed(what))?;
                output.list(wire::items(&listed, "/agents"), &columns(output))
            }
            AgentCommand::Show { agent } => {
                let found = session.client.get(&path(&agent), Vec::new()).await;
                let what = lang.what_find(lang.noun_agent(), &agent);
                let found = found.map_err(session.failed(what))?;
                output.show(&found["agent"], &columns(output))
            }
            AgentCommand::Remove { agent, yes } => {
                session.confirm(&lang.ask_remove_agent(&agent), yes)?;
                let gone = session.client.delete(&path(&agent)).await;
                let what = lang.what_delete(lang.noun_agent(), &agent);
                gone.map_err(session.failed(what))?;
                if output.is_json() {
                    return output.json(&json!({ "agent_id": agent }));
                }
                output.line(lang.done_delete(lang.noun_agent(), &agent))
            }
        }
    }
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/agent_id")),
        (lang.col_host(), Show::At("/host_name")),
        (lang.col_address(), Show::At("/host_ip")),
        (lang.col_os(), Show::At("/host_os")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_directories(), Show::With(directories)),
        (lang.col_seen(), Show::With(|agent| wire::time(agent, "/last_active_time"))),
    ]
}

fn directories(agent: &Value) -> String {
    let paths = wire::items(agent, "/paths").iter().map(|path| wire::text(path, "/dir_path"));
    paths.collect::<Vec<_>>().join(", ")
}
