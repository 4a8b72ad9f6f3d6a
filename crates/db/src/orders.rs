//! Table `orders`: what was agreed about paying for vaults.

use cbr_model::billing::Money;
use cbr_model::order::{Order, OrderKind, OrderStatus, Period, PeriodUnit};
use cbr_model::query::Page;
use cbr_model::vault::Consistency;
use cbr_model::{OrderId, ProjectId, Timestamp, VaultId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of orders.
#[derive(Debug)]
pub struct Orders<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Orders<'_> {
    /// Adds what was agreed about one vault.
    pub async fn insert(&mut self, order: &Order) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO orders (id, vault_id, project_id, user_id, kind, size_gib, consistency,
                 product, period_unit, period_count, auto_renew, created_at, status, amount,
                 begins_at, ends_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(order.id)
        .bind(order.vault)
        .bind(order.project)
        .bind(order.user)
        .bind(order.kind.as_str())
        .bind(order.size)
        .bind(order.consistency.as_str())
        .bind(order.product.as_ref())
        .bind(order.period.map(|period| period.unit().as_str()))
        .bind(order.period.map(Period::count))
        .bind(order.auto_renew)
        .bind(order.created_at)
        .bind(order.status.as_str())
        .bind(order.amount.0)
        .bind(order.begins_at)
        .bind(order.ends_at);
        self.tx.execute("orders.insert", sql).await.map(drop)
    }

    /// Writes how far the part of an order is that is about its vault, and its period.
    pub async fn settle(&mut self, order: &Order) -> Result<(), DbError> {
        let sql = Sql::new(
            "UPDATE orders SET status = $3, begins_at = $4, ends_at = $5
             WHERE id = $1 AND vault_id = $2",
        )
        .bind(order.id)
        .bind(order.vault)
        .bind(order.status.as_str())
        .bind(order.begins_at)
        .bind(order.ends_at);
        self.tx.execute("orders.settle", sql).await.map(drop)
    }

    /// A page of a project's orders, newest first, and how many there are; only of a vault, if one is given.
    pub async fn page(
        &mut self,
        project: ProjectId,
        vault: Option<VaultId>,
        page: &Page,
    ) -> Result<(Vec<Order>, u64), DbError> {
        let mut sql = Sql::new("FROM orders WHERE project_id = $1").bind(project);
        sql.and_equal("vault_id", vault);
        let total = self.tx.number("orders.page", sql.wrapped("SELECT COUNT(*) AS n ", "")).await?;
        let mut sql = sql.wrapped("SELECT * ", " ORDER BY created_at DESC, id, vault_id");
        sql.text(" LIMIT ").value(page.limit).text(" OFFSET ").value(page.offset);
        let rows = self.tx.rows("orders.page", "orders", sql).await?;
        Ok((rows.iter().map(order).collect::<Result<_, _>>()?, total))
    }

    /// What a project's order says of each of its vaults; empty: there is no such order.
    pub async fn find(&mut self, project: ProjectId, id: OrderId) -> Result<Vec<Order>, DbError> {
        let sql =
            Sql::new("SELECT * FROM orders WHERE project_id = $1 AND id = $2 ORDER BY vault_id");
        let rows = self.tx.rows("orders.find", "orders", sql.bind(project).bind(id)).await?;
        rows.iter().map(order).collect()
    }

    /// Orders about vaults that are there, which were placed before a time and are not paid; the oldest
    /// first, at most `limit` of them.
    pub async fn unpaid_before(
        &mut self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ProjectId, OrderId)>, DbError> {
        let sql = Sql::new(
            "SELECT project_id, id, MIN(created_at) AS at FROM orders
             WHERE status = 'unpaid' AND kind <> 'create' AND created_at < $1
             GROUP BY project_id, id ORDER BY at, id LIMIT $2",
        );
        let sql = sql.bind(time).bind(limit);
        let rows = self.tx.rows("orders.unpaid_before", "orders", sql).await?;
        rows.iter().map(|row| Ok((row.id("project_id")?, row.id("id")?))).collect()
    }

    /// All orders of a vault, oldest first.
    pub async fn list(
        &mut self,
        project: ProjectId,
        vault: VaultId,
    ) -> Result<Vec<Order>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM orders WHERE project_id = $1 AND vault_id = $2 ORDER BY created_at, id",
        );
        let rows = self.tx.rows("orders.list", "orders", sql.bind(project).bind(vault)).await?;
        rows.iter().map(order).collect()
    }
}

fn order(row: &Row) -> Result<Order, DbError> {
    let period = if row.text_opt("period_unit")?.is_some() {
        let unit = row.word("period_unit", PeriodUnit::from_str_exact)?;
        let period = Period::new(unit, row.int("period_count")?);
        Some(period.ok_or_else(|| row.inconsistent("period_count", "no such period"))?)
    } else {
        None
    };
    Ok(Order {
        id: row.id("id")?,
        project: row.id("project_id")?,
        user: row.id("user_id")?,
        vault: row.id("vault_id")?,
        kind: row.word("kind", OrderKind::from_str_exact)?,
        size: row.gib("size_gib")?,
        consistency: row.word("consistency", Consistency::from_str_exact)?,
        product: row.text_opt("product")?,
        period,
        auto_renew: row.flag("auto_renew")?,
        status: row.word("status", OrderStatus::from_str_exact)?,
        amount: Money(row.int("amount")?),
        begins_at: row.time_opt("begins_at")?,
        ends_at: row.time_opt("ends_at")?,
        created_at: row.time("created_at")?,
    })
}
