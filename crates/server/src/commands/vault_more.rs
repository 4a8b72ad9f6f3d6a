//! What is done to vaults less often: moving resources, adding up, expirations, orders, limits, freezing.

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::import;
use super::session::Session;
use super::vault::{bound_ids, reread, show};
use super::vault_metrics::{self, MetricsArgs};
use crate::client::lookup::Noun;
use crate::client::wait::WaitArgs;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::Show;
use crate::text::{Lang, texts};

texts! {
    what_migrate(vault) "cannot move resources out of vault `{vault}`" | "无法将资源迁出存储库 `{vault}`";
    done_migrate(resources, vault) "Moved {resources} to vault {vault}" | "已将 {resources} 迁移到存储库 {vault}";
    what_summary() "cannot add up the vaults" | "无法统计存储库";
    what_usage() "cannot add up the backups" | "无法统计备份";
    what_expire(vault) "cannot change until when vault `{vault}` keeps its backups" | "无法修改存储库 `{vault}` 的备份过期时间";
    done_expire(count, day) "{count} backups are kept until the end of {day}" | "{count} 个备份将保留到 {day} 结束";
    what_automatic(vault) "cannot change what automatic backups of vault `{vault}` take" | "无法修改存储库 `{vault}` 的自动备份范围";
    what_order(vaults) "cannot make {vaults} prepaid" | "无法将 {vaults} 转为包年包月";
    done_order(order) "Order {order} is placed: cbr billing orders" | "订单 {order} 已提交：cbr billing orders";
    what_quota() "cannot read or set quotas" | "无法读取或设置配额";
    what_freeze(vault) "cannot freeze or unfreeze vault `{vault}`" | "无法冻结或解冻存储库 `{vault}`";
    ask_lock(vault) "Lock vault `{vault}` for ever? Its automatic backups cannot be deleted before they expire, and no resource can leave it." | "永久锁定存储库 `{vault}`？自动备份在过期前无法删除，资源也无法移出。";
    col_quota() "QUOTA" | "配额";
    col_limit() "LIMIT" | "上限";
    col_bound_gb() "BOUND GB" | "已绑定 GB";
    col_used_percent() "USED %" | "使用率 %";
    col_takes_backups() "TAKES BACKUPS" | "可备份";
    col_daily() "PER DAY" | "日增";
    col_full_at() "FULL AT" | "预计写满";
    value_unlimited() "unlimited" | "不限";
}

#[derive(Debug, Subcommand)]
pub(super) enum MoreCommand {
    /// Move resources with all their backups to another vault
    MigrateResources {
        /// The vault they are in: name or id
        vault: String,
        /// The vault they shall be in: name or id
        #[arg(long, value_name = "VAULT")]
        to: String,
        /// Names or ids of disks or servers
        #[arg(required = true)]
        resources: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Add up capacity and used capacity of all vaults
    Summary,
    /// Show what the backups of each disk or server take; of a vault, how full it is and until when
    Usage {
        /// Name or id
        vault: Option<String>,
    },
    /// Say whether automatic backups take resources of a vault
    Automatic {
        /// Name or id
        vault: String,
        /// Whether they do
        #[arg(value_parser = clap::value_parser!(bool), action = clap::ArgAction::Set)]
        take: bool,
        /// Names or ids of disks or servers
        #[arg(required = true)]
        resources: Vec<String>,
    },
    /// Keep the backups of a vault that are kept until a time until another day
    Expire {
        /// Name or id
        vault: String,
        /// The last day, as 2030-12-31
        #[arg(long, value_name = "DAY")]
        on: String,
        /// Where that day is, as UTC+08:00
        #[arg(long, value_name = "ZONE", default_value = "UTC+00:00")]
        zone: String,
    },
    /// Lock a vault for ever (WORM): its automatic backups stay until they expire
    Lock {
        /// Name or id
        vault: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make vaults prepaid
    MakePrepaid {
        /// Names or ids
        #[arg(required = true)]
        vaults: Vec<String>,
        #[command(flatten)]
        period: PeriodArgs,
    },
    /// Show or set limits of the project (setting is for administrators)
    Quota {
        /// Set a limit as QUOTA=NUMBER; without the number the usual one holds again
        #[arg(long, value_name = "QUOTA=NUMBER", value_parser = limit)]
        set: Option<(String, Option<u64>)>,
    },
    /// Take in all backups of the project's buckets that a file vault does not have yet
    Sync {
        /// Name or id
        vault: String,
        /// The backups count as automatic ones, which policies and locks look after
        #[arg(long)]
        automatic: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Show how full a vault was over time
    Metrics(MetricsArgs),
    /// Bar a vault: no backups into it, no restores from it (for administrators)
    Freeze {
        /// Name or id
        vault: String,
        /// Why, in one word
        #[arg(long, value_name = "WORD")]
        reason: String,
    },
    /// Make a frozen vault available again (for administrators)
    Unfreeze {
        /// Name or id
        vault: String,
    },
}

/// How long something is ordered for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct PeriodArgs {
    /// For so many months, 1 to 9
    #[arg(long, value_name = "N")]
    months: Option<u64>,
    /// For so many years, 1 to 5
    #[arg(long, value_name = "N")]
    years: Option<u64>,
}

fn limit(text: &str) -> Result<(String, Option<u64>), String> {
    let (quota, number) = text.split_once('=').ok_or("a limit is QUOTA=NUMBER")?;
    let number = match number {
        "" => None,
        number => Some(number.parse().map_err(|error| format!("{number}: {error}"))?),
    };
    Ok((quota.to_owned(), number))
}

/// Runs one of them.
pub(super) async fn run(session: &Session, command: MoreCommand) -> Result<(), Failure> {
    match command {
        MoreCommand::MigrateResources { vault, to, resources, wait } => {
            migrate(session, &vault, &to, &resources, wait).await
        }
        MoreCommand::Sync { vault, automatic, wait } => {
            import::sync(session, &vault, automatic, wait).await
        }
        MoreCommand::Summary => summary(session).await,
        MoreCommand::Usage { vault: None } => usage(session).await,
        MoreCommand::Usage { vault: Some(vault) } => fullness(session, &vault).await,
        MoreCommand::Automatic { vault, take, resources } => {
            automatic(session, &vault, take, &resources).await
        }
        MoreCommand::Expire { vault, on, zone } => expire(session, &vault, &on, &zone).await,
        MoreCommand::Lock { vault, yes } => lock(session, &vault, yes).await,
        MoreCommand::MakePrepaid { vaults, period } => {
            make_prepaid(session, &vaults, &period).await
        }
        MoreCommand::Quota { set } => quota(session, set).await,
        MoreCommand::Metrics(args) => vault_metrics::run(session, args).await,
        MoreCommand::Freeze { vault, reason } => {
            freeze(session, &vault, "freeze", &json!({"scene": reason})).await
        }
        MoreCommand::Unfreeze { vault } => freeze(session, &vault, "unfreeze", &json!({})).await,
    }
}

async fn migrate(
    session: &Session,
    name: &str,
    to_name: &str,
    resources: &[String],
    wait: WaitArgs,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Vault, name).await?;
    let ids = bound_ids(&reread(session, &id).await?, resources, lang)?;
    let to = session.find_id(Noun::Vault, to_name).await?;
    let path = session.client.cbr(&format!("vaults/{id}/migrateresources"));
    let body = json!({"destination_vault_id": to, "resource_ids": ids});
    session.client.post(&path, &body).await.map_err(session.failed(lang.what_migrate(name)))?;
    let mut tasks = Vec::new();
    for resource in &ids {
        let query = [("operation_type", "migrate"), ("vault_id", id.as_str())];
        let is_of = |log: &Value| wire::text(log, "/extra_info/resource/id") == *resource;
        tasks.extend(session.task_ids(&query, is_of).await?.into_iter().next());
    }
    super::conclude(session, &tasks, wait, &lang.done_migrate(resources.join(", "), to_name)).await
}

async fn summary(session: &Session) -> Result<(), Failure> {
    let output = session.output;
    let summary = session.client.get(&session.client.cbr("vaults/summary"), Vec::new()).await;
    let summary = summary.map_err(session.failed(output.lang.what_summary()))?;
    let used =
        |summary: &Value| format!("{} GB", wire::number(summary, "/used_size").unwrap_or_default());
    output.show(
        &summary,
        &[
            (output.lang.col_size_gb(), Show::At("/size")),
            (output.lang.col_used(), Show::With(used)),
        ],
    )
}

async fn usage(session: &Session) -> Result<(), Failure> {
    let output = session.output;
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let query = vec![("offset".to_owned(), rows.len().to_string())];
        let page = session.client.get(&session.client.cbr("storage_usage"), query).await;
        let page = page.map_err(session.failed(output.lang.what_usage()))?;
        let more = wire::items(&page, "/storage_usage");
        rows.extend_from_slice(more);
        if more.is_empty()
            || rows.len() as u64 >= wire::number(&page, "/resource_count").unwrap_or(0)
        {
            break;
        }
    }
    let used =
        |row: &Value| crate::output::bytes(wire::number(row, "/backup_size").unwrap_or(0) << 20);
    output.list(
        &rows,
        &[
            (output.lang.col_resource_id(), Show::At("/resource_id")),
            (output.lang.col_name(), Show::At("/resource_name")),
            (output.lang.col_type(), Show::At("/resource_type")),
            (output.lang.col_backups(), Show::At("/backup_count")),
            (output.lang.col_used(), Show::With(used)),
        ],
    )
}

/// How full a vault is, and when it will be.
async fn fullness(session: &Session, name: &str) -> Result<(), Failure> {
    let output = session.output;
    let id = session.find_id(Noun::Vault, name).await?;
    let path = session.client.cbr(&format!("x/vaults/{id}/usage"));
    let answer = session.client.get(&path, Vec::new());
    let answer = answer.await.map_err(session.failed(output.lang.what_usage()))?;
    let used =
        |usage: &Value| crate::output::bytes(wire::number(usage, "/used_bytes").unwrap_or(0));
    let daily = |usage: &Value| {
        crate::output::bytes(wire::number(usage, "/forecast/daily_bytes").unwrap_or(0))
    };
    output.show(
        &answer["usage"],
        &[
            (output.lang.col_size_gb(), Show::At("/capacity_gb")),
            (output.lang.col_bound_gb(), Show::At("/bound_gb")),
            (output.lang.col_used(), Show::With(used)),
            (output.lang.col_used_percent(), Show::At("/used_percent")),
            (output.lang.col_takes_backups(), Show::At("/takes_backups")),
            (output.lang.col_daily(), Show::With(daily)),
            (output.lang.col_full_at(), Show::At("/forecast/full_at")),
        ],
    )
}

async fn automatic(
    session: &Session,
    name: &str,
    take: bool,
    resources: &[String],
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Vault, name).await?;
    let ids = bound_ids(&reread(session, &id).await?, resources, lang)?;
    // The contract's words mean the opposite of what they say.
    let action = if take { "suspend" } else { "unsuspend" };
    let path = session.client.cbr(&format!("vaults/{id}/set-resources"));
    let body = json!({"action": action, "resource_ids": ids});
    session.client.put(&path, &body).await.map_err(session.failed(lang.what_automatic(name)))?;
    show(session.output, &reread(session, &id).await?)
}

async fn expire(session: &Session, name: &str, day: &str, zone: &str) -> Result<(), Failure> {
    let output = session.output;
    let id = session.find_id(Noun::Vault, name).await?;
    let path = session.client.cbr(&format!("vaults/{id}/update-backup-expiration-time"));
    let body = json!({"expect_expiration_date": day, "time_zone": zone});
    let changed = session.client.put(&path, &body).await;
    let changed = changed.map_err(session.failed(output.lang.what_expire(name)))?;
    if output.is_json() {
        return output.json(&changed);
    }
    let count = wire::number(&changed, "/affected_backups_count").unwrap_or(0);
    output.line(output.lang.done_expire(count, wire::text(&changed, "/new_expiration_day")))
}

async fn lock(session: &Session, name: &str, yes: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Vault, name).await?;
    session.confirm(&lang.ask_lock(name), yes)?;
    let path = session.client.cbr(&format!("vaults/{id}"));
    let locked = session.client.put(&path, &json!({"vault": {"locked": true}})).await;
    let locked = locked.map_err(session.failed(lang.what_update(lang.noun_vault(), name)))?;
    show(session.output, &locked["vault"])
}

async fn make_prepaid(
    session: &Session,
    names: &[String],
    period: &PeriodArgs,
) -> Result<(), Failure> {
    let output = session.output;
    let mut ids = Vec::new();
    for name in names {
        ids.push(session.find_id(Noun::Vault, name).await?);
    }
    let (unit, count) = period.unit_and_count();
    let body = json!({"vault_ids": ids, "charging_mode": "pre_paid", "period_type": unit,
        "period_num": count, "is_auto_pay": true, "is_auto_renew": false});
    let order = session.client.post(&session.client.cbr("vaults/change-charge-mode"), &body).await;
    let order = order.map_err(session.failed(output.lang.what_order(names.join(", "))))?;
    if output.is_json() {
        return output.json(&order);
    }
    output.line(output.lang.done_order(wire::text(&order, "/orderId")))
}

impl PeriodArgs {
    /// In the contract's words. One of the two is there: clap sees to that.
    pub(super) fn unit_and_count(&self) -> (&'static str, u64) {
        match self.years {
            Some(years) => ("year", years),
            None => ("month", self.months.unwrap_or_default()),
        }
    }
}

async fn quota(session: &Session, set: Option<(String, Option<u64>)>) -> Result<(), Failure> {
    let output = session.output;
    let path = session.client.cbr("x/quotas");
    let answer = match set {
        None => session.client.get(&path, Vec::new()).await,
        Some((quota, limit)) => {
            session.client.put(&path, &json!({"quota": quota, "limit": limit})).await
        }
    };
    let answer = answer.map_err(session.failed(output.lang.what_quota()))?;
    let rows: Vec<Value> = wire::items(&answer, "/quotas").to_vec();
    if output.is_json() {
        return output.json(&Value::from(rows));
    }
    let head = vec![output.lang.col_quota(), output.lang.col_limit(), output.lang.col_used()];
    let shown = |row: &Value| {
        let limit = wire::number(row, "/limit").map(|limit| limit.to_string());
        let used = wire::number(row, "/used").map(|used| used.to_string());
        vec![
            wire::text(row, "/quota"),
            limit.unwrap_or_else(|| output.lang.value_unlimited()),
            used.unwrap_or_default(),
        ]
    };
    output.rows(head, rows.iter().map(shown).collect())
}

async fn freeze(session: &Session, name: &str, verb: &str, body: &Value) -> Result<(), Failure> {
    let id = session.find_id(Noun::Vault, name).await?;
    let path = session.client.cbr(&format!("x/vaults/{id}/{verb}"));
    let answer = session.client.post(&path, body).await;
    let answer = answer.map_err(session.failed(session.output.lang.what_freeze(name)))?;
    show(session.output, &answer["vault"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_taken_back() {
        assert_eq!(limit("vaults=3"), Ok(("vaults".into(), Some(3))));
        assert_eq!(limit("vaults="), Ok(("vaults".into(), None)));
        assert!(limit("vaults").is_err() && limit("vaults=x").is_err());
    }

    #[test]
    fn periods_are_months_or_years() {
        let of = |months, years| PeriodArgs { months, years }.unit_and_count();
        assert_eq!((of(Some(3), None), of(None, Some(1))), (("month", 3), ("year", 1)));
    }
}
