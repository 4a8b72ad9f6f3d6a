//! `cbr billing …`

use std::fmt::Display;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::session::Session;
use super::vault_more::PeriodArgs;
use crate::client::lookup::Noun;
use crate::client::{ConnectionArgs, wire};
use crate::failure::Failure;
use crate::output::{self, Column, Output, Show};
use crate::text::{Lang, texts};

texts! {
    what_billing() "cannot read or change what is to be paid" | "无法读取或更改费用";
    done_credit(balance) "The account has {balance} minor units now" | "账户余额现为 {balance}（最小货币单位）";
    done_resume() "Metering goes on with this hour" | "从本小时起继续计量";
    col_balance() "BALANCE" | "余额";
    col_currency() "CURRENCY" | "币种";
    col_driver() "DRIVER" | "计费方式";
    col_arrears() "IN ARREARS" | "欠费";
    col_metered_until() "METERED UNTIL" | "已计量至";
    col_held() "HELD" | "暂停";
    col_exported_until() "EXPORTED UNTIL" | "已导出至";
    done_exported(until) "The project's hours before {until} may be forgotten when they are old" | "项目在 {until} 之前的计量记录到期后可删除";
    col_amount() "AMOUNT" | "金额";
    col_reference() "REFERENCE" | "凭证";
    col_begins() "BEGINS" | "开始";
    col_ends() "ENDS" | "到期";
    col_order() "ORDER" | "订单";
    col_vault_id() "VAULT ID" | "存储库 ID";
}

/// See what vaults cost, and pay for them
#[derive(Debug, Args)]
pub(crate) struct BillingArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: BillingCommand,
}

#[derive(Debug, Subcommand)]
enum BillingCommand {
    /// Show what the account has, and how far metering has come
    Account,
    /// Show what changed the balance, newest first
    Entries,
    /// Give to an account, or take from it (for administrators of the installation)
    Credit {
        /// Minor units of the currency, as cents; negative takes
        #[arg(allow_negative_numbers = true)]
        amount: i64,
        /// What it is known by: the same again changes nothing
        #[arg(long)]
        reference: String,
        /// Id of the account; without it: your own
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// For people
        #[arg(long)]
        note: Option<String>,
    },
    /// Write the hours for which vaults are charged by use
    Export {
        /// Hours that begin then or later, as 2030-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Hours that begin before
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Only of this vault: name or id
        #[arg(long)]
        vault: Option<String>,
        /// How
        #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
        format: ExportFormat,
    },
    /// Say, as the operator, that a project's hours before a time are in your books: those are forgotten in time, others kept longer
    Exported {
        /// Not after what is metered, as 2030-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Whose hours; without it those of your own project
        #[arg(long, value_name = "ID")]
        project: Option<String>,
    },
    /// List orders, newest first
    Orders {
        /// Only of this vault: name or id
        #[arg(long)]
        vault: Option<String>,
    },
    /// Pay an order
    Pay {
        /// Its id
        order: String,
    },
    /// Give up an order that is not paid
    Cancel {
        /// Its id
        order: String,
    },
    /// Order another period of a prepaid vault
    Renew {
        /// Name or id
        vault: String,
        #[command(flatten)]
        period: PeriodArgs,
        /// Renew it by itself when that ends
        #[arg(long)]
        auto_renew: bool,
    },
    /// Say whether a prepaid vault is renewed by itself
    AutoRenew {
        /// Name or id
        vault: String,
        /// Whether it is
        #[arg(value_parser = clap::value_parser!(bool), action = clap::ArgAction::Set)]
        enabled: bool,
    },
    /// Go on metering with this hour, after a clock that was wrong (for administrators of the installation)
    Resume,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ExportFormat {
    Csv,
    /// One object a line
    Json,
}

impl BillingArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        match self.command {
            BillingCommand::Account => account(&session).await,
            BillingCommand::Entries => entries(&session).await,
            BillingCommand::Credit { amount, reference, account, note } => {
                let body = json!({"amount": amount, "reference": reference, "note": note,
                    "domain_id": account});
                let answer = post(&session, "x/billing/credits", &body).await?;
                if output.is_json() {
                    return output.json(&answer["account"]);
                }
                output.line(output.lang.done_credit(&answer["account"]["balance"]))
            }
            BillingCommand::Export { from, until, vault, format } => {
                let vault = id_of(&session, vault).await?;
                let filters = [("from", from), ("until", until), ("vault_id", vault)];
                export(&session, &filters, format).await
            }
            BillingCommand::Exported { until, project } => {
                let body = json!({"until": until, "project_id": project});
                let answer = post(&session, "x/billing/exported", &body).await?;
                if output.is_json() {
                    return output.json(&answer);
                }
                let until = wire::text(&answer, "/exported_until");
                output.line(output.lang.done_exported(until))
            }
            BillingCommand::Orders { vault } => {
                let vault = id_of(&session, vault).await?;
                let orders = pages(&session, "x/orders", "/orders", &[("vault_id", vault)]).await?;
                show_orders(output, &orders)
            }
            BillingCommand::Pay { order } => act(&session, &order, "pay").await,
            BillingCommand::Cancel { order } => act(&session, &order, "cancel").await,
            BillingCommand::Renew { vault, period, auto_renew } => {
                let id = session.find_id(Noun::Vault, &vault).await?;
                let (unit, count) = period.unit_and_count();
                let body = json!({"period_type": unit, "period_num": count,
                    "is_auto_renew": auto_renew});
                let answer = post(&session, &format!("x/vaults/{id}/renew"), &body).await?;
                show_orders(output, wire::items(&answer, "/orders"))
            }
            BillingCommand::AutoRenew { vault, enabled } => {
                let id = session.find_id(Noun::Vault, &vault).await?;
                let path = session.client.cbr(&format!("x/vaults/{id}/auto-renew"));
                let answer = session.client.put(&path, &json!({"is_auto_renew": enabled})).await;
                let answer = answer.map_err(session.failed(output.lang.what_billing()))?;
                super::vault::show(output, &answer["vault"])
            }
            BillingCommand::Resume => {
                post(&session, "x/billing/resume", &json!({})).await?;
                output.line(output.lang.done_resume())
            }
        }
    }
}

async fn post(session: &Session, path: &str, body: &Value) -> Result<Value, Failure> {
    let path = session.client.cbr(path);
    let answer = session.client.post(&path, body).await;
    answer.map_err(session.failed(session.output.lang.what_billing()))
}

/// The id of a vault by its name; one that is gone is known by its id only.
async fn id_of(session: &Session, vault: Option<String>) -> Result<Option<String>, Failure> {
    match vault {
        Some(id) if id.len() == 36 && id.contains('-') => Ok(Some(id)),
        Some(name) => session.find_id(Noun::Vault, &name).await.map(Some),
        None => Ok(None),
    }
}

/// All rows of a list.
async fn pages(
    session: &Session,
    path: &str,
    at: &str,
    filters: &[(&str, Option<String>)],
) -> Result<Vec<Value>, Failure> {
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let given = filters.iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        let mut query: Vec<(String, String)> =
            given.map(|(key, value)| ((*key).to_owned(), value)).collect();
        query.push(("offset".to_owned(), rows.len().to_string()));
        let page = session.client.get(&session.client.cbr(path), query).await;
        let page = page.map_err(session.failed(session.output.lang.what_billing()))?;
        let more = wire::items(&page, at);
        rows.extend_from_slice(more);
        if more.is_empty() || rows.len() as u64 >= wire::number(&page, "/count").unwrap_or(0) {
            return Ok(rows);
        }
    }
}

async fn account(session: &Session) -> Result<(), Failure> {
    let output = session.output;
    let path = session.client.cbr("x/billing/account");
    let shown = session.client.get(&path, Vec::new()).await;
    let shown = shown.map_err(session.failed(output.lang.what_billing()))?;
    output.show(
        &shown,
        &[
            (output.lang.col_driver(), Show::At("/driver")),
            (output.lang.col_currency(), Show::At("/currency")),
            (output.lang.col_balance(), Show::At("/account/balance")),
            (output.lang.col_arrears(), Show::At("/account/is_in_arrears")),
            (output.lang.col_metered_until(), Show::At("/metering/until")),
            (output.lang.col_held(), Show::At("/metering/is_held")),
            (output.lang.col_exported_until(), Show::At("/metering/exported_until")),
        ],
    )
}

async fn entries(session: &Session) -> Result<(), Failure> {
    let lang = session.output.lang;
    let entries = pages(session, "x/billing/entries", "/entries", &[]).await?;
    let columns: Vec<Column> = vec![
        (lang.col_created(), Show::At("/created_at")),
        (lang.col_type(), Show::At("/kind")),
        (lang.col_reference(), Show::At("/reference")),
        (lang.col_amount(), Show::At("/amount")),
        (lang.col_balance(), Show::At("/balance")),
    ];
    session.output.list(&entries, &columns)
}

const FIELDS: [&str; 8] =
    ["vault_id", "hour", "spec_code", "size", "price", "amount_millionths", "currency", "image_id"];

async fn export(
    session: &Session,
    filters: &[(&str, Option<String>)],
    format: ExportFormat,
) -> Result<(), Failure> {
    let output = session.output;
    let hours = pages(session, "x/billing/metering", "/hours", filters).await?;
    if format == ExportFormat::Csv {
        output.line(FIELDS.join(","))?;
    }
    for hour in &hours {
        match format {
            ExportFormat::Json => output.line(hour)?,
            ExportFormat::Csv => output.line(csv(hour))?,
        }
    }
    Ok(())
}

fn csv(hour: &Value) -> String {
    output::csv(&FIELDS.map(|field| wire::text(hour, &format!("/{field}"))))
}

async fn act(session: &Session, order: &str, verb: &str) -> Result<(), Failure> {
    let answer = post(session, &format!("x/orders/{order}/{verb}"), &json!({})).await?;
    show_orders(session.output, wire::items(&answer, "/orders"))
}

fn show_orders(output: Output, orders: &[Value]) -> Result<(), Failure> {
    let lang = output.lang;
    output.list(
        orders,
        &[
            (lang.col_order(), Show::At("/order_id")),
            (lang.col_vault_id(), Show::At("/vault_id")),
            (lang.col_type(), Show::At("/kind")),
            (lang.col_status(), Show::At("/status")),
            (lang.col_amount(), Show::At("/amount")),
            (lang.col_begins(), Show::At("/begins_at")),
            (lang.col_ends(), Show::At("/ends_at")),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_a_row_of_its_fields() {
        let hour = json!({"vault_id": "v", "hour": "h", "spec_code": "s", "size": 7,
            "price": "0.010000", "amount_millionths": 70_000, "currency": "EUR", "more": 1,
            "image_id": null});
        assert_eq!(csv(&hour), "v,h,s,7,0.010000,70000,EUR,");
    }
}
