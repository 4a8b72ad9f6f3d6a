//! Table `deliveries`: messages to single subscriptions.

use cbr_model::query::{Listing, Page};
use cbr_model::topic::{Delivery, DeliveryStatus, Protocol};
use cbr_model::{DeliveryId, ProjectId, Timestamp};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of deliveries.
#[derive(Debug)]
pub struct Deliveries<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Deliveries<'_> {
    /// Adds a delivery.
    pub async fn insert(&mut self, delivery: &Delivery) -> Result<(), DbError> {
        let reached = || delivery.protocol.reaches(&delivery.endpoint);
        let asked = delivery.is_confirmation.then(reached).unwrap_or_default();
        let sql = Sql::new(
            "INSERT INTO deliveries (id, project_id, topic_name, subscription_id, protocol, endpoint,
                 message, is_confirmation, status, attempts, error, created_at, ended_at, asked)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(delivery.id)
        .bind(delivery.project)
        .bind(&delivery.topic_name)
        .bind(delivery.subscription)
        .bind(delivery.protocol.as_str())
        .bind(&delivery.endpoint)
        .bind(to_json(&delivery.message))
        .bind(delivery.is_confirmation)
        .bind(delivery.status.as_str())
        .bind(delivery.attempts)
        .bind(delivery.error.as_ref())
        .bind(delivery.created_at)
        .bind(delivery.ended_at)
        .bind(asked.as_str());
        self.tx.execute("deliveries.insert", sql).await.map(drop)
    }

    /// A delivery, whosever it is.
    pub async fn find(&mut self, id: DeliveryId) -> Result<Option<Delivery>, DbError> {
        let sql = Sql::new("SELECT * FROM deliveries WHERE id = $1").bind(id);
        let row = self.tx.row("deliveries.find", "deliveries", sql).await?;
        row.as_ref().map(delivery).transpose()
    }

    /// Notes how an attempt ended.
    pub async fn note(
        &mut self,
        id: DeliveryId,
        attempts: u32,
        status: DeliveryStatus,
        error: Option<&String>,
    ) -> Result<(), DbError> {
        let now = self.tx.now();
        let ended = (status != DeliveryStatus::Waiting).then_some(now);
        let sql = Sql::new(
            "UPDATE deliveries SET attempts = $2, status = $3, error = $4, ended_at = $5
             WHERE id = $1",
        )
        .bind(id)
        .bind(attempts)
        .bind(status.as_str())
        .bind(error)
        .bind(ended);
        self.tx.execute("deliveries.note", sql).await.map(drop)
    }

    /// A dead delivery waits again; says whether it was dead.
    pub async fn revive(&mut self, project: ProjectId, id: DeliveryId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE deliveries SET status = 'waiting', attempts = 0, ended_at = NULL
             WHERE project_id = $1 AND id = $2 AND status = 'dead'",
        );
        self.tx.execute_one("deliveries.revive", sql.bind(project).bind(id)).await
    }

    /// How many requests for agreement an address was sent since a time, by anybody and however it was
    /// written ([`Protocol::reaches`]).
    pub async fn confirmations(&mut self, reached: &str, since: Timestamp) -> Result<u64, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM deliveries
             WHERE is_confirmation = 1 AND asked = $1 AND created_at >= $2",
        );
        self.tx.number("deliveries.confirmations", sql.bind(reached).bind(since)).await
    }

    /// A page of a project's deliveries, newest first; in one state.
    pub async fn list(
        &mut self,
        project: ProjectId,
        status: Option<DeliveryStatus>,
        page: &Page,
    ) -> Result<Listing<Delivery>, DbError> {
        let mut sql = Sql::new("FROM deliveries t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.status", status.map(DeliveryStatus::as_str));
        let listed = Listed {
            name: "deliveries.list",
            table: "deliveries",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(delivery).collect::<Result<_, _>>()?, total })
    }

    /// How many deliveries there are in each state.
    pub async fn counts(&mut self) -> Result<Vec<(DeliveryStatus, u64)>, DbError> {
        let sql = Sql::new("SELECT status, COUNT(*) AS n FROM deliveries GROUP BY status");
        let rows = self.tx.rows("deliveries.counts", "deliveries", sql).await?;
        rows.iter()
            .map(|row| Ok((row.word("status", DeliveryStatus::from_str_exact)?, row.count("n")?)))
            .collect()
    }

    /// Forgets at most `limit` deliveries from before a time that ended; says how many.
    pub async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries
             WHERE created_at < $1 AND status <> 'waiting' LIMIT $2)",
        );
        self.tx.execute("deliveries.forget", sql.bind(before).bind(limit)).await
    }
}

fn delivery(row: &Row) -> Result<Delivery, DbError> {
    Ok(Delivery {
        id: row.id("id")?,
        project: row.id("project_id")?,
        topic_name: row.text("topic_name")?,
        subscription: row.id("subscription_id")?,
        protocol: row.word("protocol", Protocol::from_str_exact)?,
        endpoint: row.text("endpoint")?,
        message: row.json("message")?,
        is_confirmation: row.flag("is_confirmation")?,
        status: row.word("status", DeliveryStatus::from_str_exact)?,
        attempts: row.small("attempts")?,
        error: row.text_opt("error")?,
        created_at: row.time("created_at")?,
        ended_at: row.time_opt("ended_at")?,
    })
}
