//! Table `orders`: what was agreed about paying for vaults.

use cbr_model::order::{Order, OrderKind, Period, PeriodUnit};
use cbr_model::vault::Consistency;
use cbr_model::{OrderId, ProjectId, VaultId};

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
                 product, period_unit, period_count, auto_renew, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
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
        .bind(order.created_at);
        self.tx.execute("orders.insert", sql).await.map(drop)
    }

    /// What a project's order says of each of its vaults; empty: there is no such order.
    pub async fn find(&mut self, project: ProjectId, id: OrderId) -> Result<Vec<Order>, DbError> {
        let sql =
            Sql::new("SELECT * FROM orders WHERE project_id = $1 AND id = $2 ORDER BY vault_id");
        let rows = self.tx.rows("orders.find", "orders", sql.bind(project).bind(id)).await?;
        rows.iter().map(order).collect()
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
        created_at: row.time("created_at")?,
    })
}
