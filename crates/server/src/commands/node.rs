//! `cbr node …`: the processes that share a database, and the work of one that is gone for good.

use std::fmt::Display;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cbr_service::nodes::{Kept, heard_of, nodes, take_over};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Show};
use crate::text::{Lang, texts};
use crate::wiring;
use crate::world::World;

texts! {
    col_node() "NODE" | "节点";
    col_node_seen() "SEEN (S AGO)" | "最近出现（秒前）";
    col_node_tasks() "TASKS" | "任务";
    col_node_exports() "EXPORTS" | "导出";
    what_take_over(name) "cannot take over node {name}" | "无法接管节点 {name}";
    why_node_itself() "this is that node" | "本机就是该节点";
    why_node_unknown(names) "there is no such node; there are: {names}" | "没有该节点；现有：{names}";
    why_node_there(seconds) "it was there {seconds} s ago" | "该节点 {seconds} 秒前仍在";
    next_node_there()
        "stop it. If it cannot be reached and you know that it is gone: --force. Should it run on, its \
         tasks are cut off and its exports are served twice"
        | "请先停止该节点。若无法连接且确知其已不存在：--force。若它仍在运行，其任务将被切断，其导出会被重复提供";
    done_take_over(name, tasks, exports)
        "{name}: {tasks} tasks and {exports} exports are this node's now; start the service"
        | "{name}：{tasks} 个任务和 {exports} 个导出现归本节点；请启动服务";
}

/// The machines that share a database, and the work of one that is gone
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    command: NodeCommand,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// List them, with what waits for each
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Give everything that waits for another node to this one
    ///
    /// For a machine that never comes back, or whose data directory is lost. The service must be stopped
    /// here. Tasks go on with the disks that this machine reaches; those of disks it does not reach fail,
    /// and let go of them. What was written to an export stayed on the other machine.
    TakeOver {
        /// Its name, as `cbr node list` shows it
        name: String,
        /// Also if it seems to be there
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

#[derive(Debug, Args)]
struct PlaceArgs {
    /// Data directory of the service
    #[arg(long, env = "CBR_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Configuration file
    #[arg(long, env = "CBR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PlaceArgs {
    fn open(&self) -> Result<(DataDir, Config)> {
        Ok((DataDir::open(&self.data_dir)?, Config::load(self.config.as_deref())?))
    }
}

impl NodeArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self.command {
            NodeCommand::List { place } => list(&place, output).await,
            NodeCommand::TakeOver { name, force, place } => {
                take(&place, &name, force, output).await
            }
        }
    }
}

async fn list(place: &PlaceArgs, output: Output) -> Result<()> {
    let (data, config) = place.open()?;
    let own = data.known_node_name()?;
    let database = wiring::database(&data, &config, &World::real()).await?;
    let found = nodes(&database).await;
    database.close().await.context("cannot close the database")?;
    let (found, now) = found?;
    let things: Vec<Value> = found
        .iter()
        .map(|node| {
            json!({
                "name": node.name,
                "is_this": own.as_ref() == Some(&node.name),
                "is_there": heard_of(node, now).is_some(),
                "seen_seconds_ago": node.seen_at.map(|at| now.seconds() - at.seconds()),
                "tasks": node.tasks,
                "exports": node.exports,
            })
        })
        .collect();
    let lang = output.lang;
    output.list(
        &things,
        &[
            (lang.col_node(), Show::At("/name")),
            (lang.col_node_seen(), Show::At("/seen_seconds_ago")),
            (lang.col_node_tasks(), Show::At("/tasks")),
            (lang.col_node_exports(), Show::At("/exports")),
        ],
    )?;
    Ok(())
}

async fn take(place: &PlaceArgs, name: &str, force: bool, output: Output) -> Result<()> {
    let (data, config) = place.open()?;
    let _lock = data.lock()?;
    let world = World::real();
    let own = data.node_name(&*world.random)?;
    let database = wiring::database(&data, &config, &world).await?;
    let taken = take_over(&database, &own, name, force).await;
    database.close().await.context("cannot close the database")?;
    let lang = output.lang;
    let refused = |kind, why| Failure::new(kind, lang.what_take_over(name), why);
    match taken? {
        Ok(moved) if output.is_json() => {
            let (tasks, exports) = (moved.tasks, moved.exports);
            output.json(&json!({"name": name, "tasks": tasks, "exports": exports}))?;
        }
        Ok(moved) => output.line(lang.done_take_over(name, moved.tasks, moved.exports))?,
        Err(Kept::Itself) => return Err(refused(Kind::Usage, lang.why_node_itself()).into()),
        Err(Kept::Unknown(names)) => {
            let why = lang.why_node_unknown(names.join(", "));
            return Err(refused(Kind::NotFound, why).into());
        }
        Err(Kept::StillThere(seconds)) => {
            let failure = refused(Kind::Refused, lang.why_node_there(seconds));
            return Err(failure.with_next(lang.next_node_there()).into());
        }
    }
    Ok(())
}
