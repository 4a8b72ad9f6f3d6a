//! `cbr iam mfa reset`: on the machine of the service, without a credential.

use std::fmt::Display;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cbr_service::identity::{NotReset, reset_second_factor};
use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::text::{Lang, texts};
use crate::wiring;
use crate::world::World;

texts! {
    what_reset(user) "cannot take the second factor of `{user}` away" | "无法移除 `{user}` 的虚拟 MFA";
    why_account_unknown(name) "there is no account `{name}`; name it with --account" | "没有账号 `{name}`；请用 --account 指定";
    why_no_user(user, name) "account `{name}` has no user `{user}`" | "账号 `{name}` 中没有用户 `{user}`";
    why_no_device(user) "`{user}` has none, so this is not what keeps it out" | "`{user}` 没有绑定虚拟 MFA，登录失败另有原因";
    done_reset(user)
        "{user} logs in with the password alone; bind a new second factor (`cbr iam mfa create`). The audit log says \
         that this was done here"
        | "{user} 现在仅凭密码即可登录；请绑定新的虚拟 MFA（`cbr iam mfa create`）。审计日志已记录此次操作";
}

#[derive(Debug, Args)]
pub(super) struct ResetArgs {
    /// Name of the user
    user: String,
    /// Name of its account; otherwise the first one's
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Data directory of the service
    #[arg(long, env = "CBR_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Configuration file
    #[arg(long, env = "CBR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Takes the second factor away. The service may run: it asks the database with every login.
pub(super) async fn run(args: ResetArgs, output: Output) -> Result<()> {
    let data = DataDir::open(&args.data_dir)?;
    let config = Config::load(args.config.as_deref())?;
    let world = World::real();
    let account = args.account.as_deref().unwrap_or(&config.account.domain_name);
    let database = wiring::database(&data, &config, &world).await?;
    let reset = reset_second_factor((&database, &*world.random), account, &args.user).await;
    database.close().await.context("cannot close the database")?;
    let lang = output.lang;
    let why = match reset? {
        Ok(()) if output.is_json() => {
            return Ok(output.json(&json!({"account": account, "user": args.user}))?);
        }
        Ok(()) => return Ok(output.line(lang.done_reset(&args.user))?),
        Err(NotReset::NoAccount) => lang.why_account_unknown(account),
        Err(NotReset::NoUser) => lang.why_no_user(&args.user, account),
        Err(NotReset::NoDevice) => lang.why_no_device(&args.user),
    };
    Err(Failure::new(Kind::NotFound, lang.what_reset(&args.user), why).into())
}
