//! `cbr backup share | unshare | members | offers | accept | reject`: backups between projects.

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::{self, Noun};
use crate::client::signer::encoded;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::output::{Column, Output, Show};
use crate::text::{Lang, texts};

texts! {
    what_share(name) "cannot share backup `{name}`" | "无法共享备份 `{name}`";
    what_unshare(name) "cannot take the share of backup `{name}` back" | "无法取消共享备份 `{name}`";
    what_members(name) "cannot list with whom backup `{name}` is shared" | "无法列出备份 `{name}` 的共享对象";
    what_offers() "cannot list backups of other projects" | "无法列出其他项目共享的备份";
    what_decide(name) "cannot answer the offer of backup `{name}`" | "无法处理共享备份 `{name}`";
    what_account(name) "cannot find the projects of account `{name}`" | "找不到账号 `{name}` 的项目";
    why_no_account(name) "no account is called `{name}`, or it has no project" | "没有名为 `{name}` 的账号，或该账号没有项目";
    why_no_offer(name) "no backup called `{name}` is shared with this project" | "没有名为 `{name}` 的备份共享给本项目";
    next_offers() "`cbr backup offers` shows what is shared with this project" | "可用 `cbr backup offers` 查看共享给本项目的备份";
    done_unshare(name) "{name} is no longer shared with them; disks that were made from it stay" | "{name} 已取消共享；已由其创建的云硬盘保留";
    ask_unshare(name) "Take the share of {name} back?" | "取消共享 {name}？";
    col_owner() "OWNER" | "所有者";
    col_decided() "DECIDED" | "处理时间";
}

/// What there is to say about sharing.
#[derive(Debug, Subcommand)]
pub(super) enum ShareCommand {
    /// Let other projects make disks from a backup; they have to accept it first
    Share(ShareArgs),
    /// Take a share back, accepted or not
    Unshare {
        /// Name or id
        backup: String,
        /// Id of the project (repeatable)
        #[arg(long = "with", value_name = "PROJECT", required = true)]
        projects: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List the projects a backup is shared with
    Members {
        /// Name or id
        backup: String,
    },
    /// List the backups that other projects share with this one
    Offers {
        /// Only those: pending, accepted or rejected
        #[arg(long)]
        status: Option<String>,
    },
    /// Take a backup that is shared with this project into a vault
    Accept {
        /// Name or id, as `cbr backup offers` shows them
        backup: String,
        /// The vault that counts it (name or id)
        #[arg(long)]
        vault: String,
    },
    /// Refuse a backup that is shared with this project, or give it back
    Reject {
        /// Name or id, as `cbr backup offers` shows them
        backup: String,
    },
}

/// Whom a backup is shared with.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Recipients {
    /// Id of a project (repeatable)
    #[arg(long = "with", value_name = "PROJECT")]
    projects: Vec<String>,
    /// Name of an account: all its projects (repeatable)
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<String>,
}

/// A backup and whom it is shared with.
#[derive(Debug, Args)]
pub(super) struct ShareArgs {
    /// Name or id
    backup: String,
    #[command(flatten)]
    with: Recipients,
}

impl ShareCommand {
    /// Runs the command.
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Share(args) => share(session, args).await,
            Self::Unshare { backup, projects, yes } => {
                unshare(session, &backup, &projects, yes).await
            }
            Self::Members { backup } => members(session, &backup).await,
            Self::Offers { status } => {
                let query = status.map(|status| ("member_status".to_owned(), status));
                let found = offered(session, query.into_iter().collect()).await?;
                session.output.list(&found, &offer_columns(session.output))
            }
            Self::Accept { backup, vault } => {
                let vault = session.find_id(Noun::Vault, &vault).await?;
                let body = json!({"status": "accepted", "vault_id": vault});
                decide(session, &backup, &body).await
            }
            Self::Reject { backup } => {
                decide(session, &backup, &json!({"status": "rejected"})).await
            }
        }
    }
}

async fn share(session: &Session, args: ShareArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Backup, &args.backup).await?;
    let mut projects = args.with.projects;
    for account in &args.with.accounts {
        let path = format!("/v3/domain/{}/projects", encoded(account));
        let answer = session.client.get(&path, Vec::new()).await;
        let answer = answer.map_err(session.failed(lang.what_account(account)))?;
        let found = wire::items(&answer, "/projects");
        if found.is_empty() {
            let (what, why) = (lang.what_account(account), lang.why_no_account(account));
            return Err(Failure::new(Kind::NotFound, what, why));
        }
        projects.extend(found.iter().map(|project| wire::text(project, "/project_id")));
    }
    let path = session.client.cbr(&format!("backups/{id}/members"));
    let answer = session.client.post(&path, &json!({ "members": projects })).await;
    let answer = answer.map_err(session.failed(lang.what_share(&args.backup)))?;
    session.output.list(wire::items(&answer, "/members"), &member_columns(session.output))
}

async fn unshare(
    session: &Session,
    backup: &str,
    projects: &[String],
    yes: bool,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Backup, backup).await?;
    session.confirm(&lang.ask_unshare(backup), yes)?;
    for project in projects {
        let path = session.client.cbr(&format!("backups/{id}/members/{}", encoded(project)));
        let gone = session.client.delete(&path).await;
        gone.map_err(session.failed(lang.what_unshare(backup)))?;
    }
    if session.output.is_json() {
        return session.output.json(&json!({"backup_id": id, "unshared": projects}));
    }
    session.output.line(lang.done_unshare(backup))
}

async fn members(session: &Session, backup: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Backup, backup).await?;
    let path = session.client.cbr(&format!("backups/{id}/members"));
    let answer = session.client.get(&path, Vec::new()).await;
    let answer = answer.map_err(session.failed(lang.what_members(backup)))?;
    session.output.list(wire::items(&answer, "/members"), &member_columns(session.output))
}

async fn decide(session: &Session, backup: &str, body: &Value) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = find_offer(session, backup).await?;
    let own = session.client.project();
    let path = session.client.cbr(&format!("backups/{id}/members/{own}"));
    let answer = session.client.put(&path, body).await;
    let answer = answer.map_err(session.failed(lang.what_decide(backup)))?;
    session.output.show(&answer["member"], &member_columns(session.output))
}

/// The backups of other projects that are shared with this one.
async fn offered(
    session: &Session,
    mut query: Vec<(String, String)>,
) -> Result<Vec<Value>, Failure> {
    query.push(("own_type".to_owned(), "shared".to_owned()));
    let found = lookup::list(&session.client, Noun::Backup, &query, usize::MAX).await;
    found.map_err(session.failed(session.output.lang.what_offers()))
}

/// The id of a backup that is shared with this project; a name that fits several is refused.
async fn find_offer(session: &Session, name: &str) -> Result<String, Failure> {
    let lang = session.output.lang;
    let is_meant =
        |backup: &&Value| wire::text(backup, "/id") == name || wire::text(backup, "/name") == name;
    let offers = offered(session, Vec::new()).await?;
    let found: Vec<String> =
        offers.iter().filter(is_meant).map(|backup| wire::text(backup, "/id")).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let failure =
                Failure::new(Kind::NotFound, lang.what_decide(name), lang.why_no_offer(name));
            Err(failure.with_next(lang.next_offers()))
        }
        several => {
            let why = lang.why_ambiguous(several.len(), name, several.join(", "));
            let failure = Failure::new(Kind::Usage, lang.what_decide(name), why);
            Err(failure.with_next(lang.next_ambiguous()))
        }
    }
}

fn member_columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_project(), Show::At("/dest_project_id")),
        (lang.col_status(), Show::At("/status")),
        (lang.col_vault(), Show::At("/vault_id")),
        (lang.col_created(), Show::With(|member| wire::time(member, "/created_at"))),
        (lang.col_decided(), Show::With(|member| wire::time(member, "/updated_at"))),
    ]
}

fn offer_columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_name(), Show::At("/name")),
        (lang.col_resource(), Show::At("/resource_name")),
        (lang.col_owner(), Show::At("/project_id")),
        (lang.col_vault(), Show::At("/vault_id")),
        (lang.col_size_gb(), Show::At("/resource_size")),
        (lang.col_created(), Show::With(|backup| wire::time(backup, "/created_at"))),
    ]
}
