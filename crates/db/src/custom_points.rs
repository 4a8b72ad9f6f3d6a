//! Tables `custom_metrics` and `custom_points`: what users publish themselves.

use cbr_model::custom_metric::{CustomMetric, CustomValue};
use cbr_model::{ProjectId, Timestamp};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// A metric that somebody publishes, with the unit of its last value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedMetric {
    /// Which.
    pub metric: CustomMetric,
    /// Its unit.
    pub unit: String,
}

/// The tables of what users publish.
#[derive(Debug)]
pub struct CustomPoints<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl CustomPoints<'_> {
    /// Keeps a value; one that was collected at the same time is replaced.
    pub async fn record(&mut self, project: ProjectId, value: &CustomValue) -> Result<(), DbError> {
        let metric = &value.metric;
        let id = metric.id(project);
        let sql = Sql::new(
            "INSERT INTO custom_metrics (id, project_id, namespace, name, dimensions, unit)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (id) DO UPDATE SET unit = excluded.unit",
        )
        .bind(&id)
        .bind(project)
        .bind(&metric.namespace)
        .bind(&metric.name)
        .bind(to_json(&metric.dimensions()))
        .bind(&value.unit);
        self.tx.execute("custom_points.metric", sql).await?;
        let sql = Sql::new(
            "INSERT INTO custom_points (metric_id, at, value, expires_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (metric_id, at) DO UPDATE
                 SET value = excluded.value, expires_at = excluded.expires_at",
        )
        .bind(&id)
        .bind(value.at)
        .bind(to_json(&value.value))
        .bind(value.expires_at());
        self.tx.execute("custom_points.record", sql).await.map(drop)
    }

    /// How many metrics a project publishes that have a value which has not expired.
    pub async fn count(&mut self, project: ProjectId) -> Result<u64, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM custom_metrics m WHERE m.project_id = $1 AND EXISTS
                 (SELECT 1 FROM custom_points p WHERE p.metric_id = m.id AND p.expires_at > $2)",
        );
        let now = self.tx.now();
        self.tx.number("custom_points.count", sql.bind(project).bind(now)).await
    }

    /// How many values of a metric have not expired.
    pub async fn count_of(
        &mut self,
        project: ProjectId,
        metric: &CustomMetric,
    ) -> Result<u64, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM custom_points WHERE metric_id = $1 AND expires_at > $2",
        );
        let now = self.tx.now();
        self.tx.number("custom_points.count_of", sql.bind(metric.id(project)).bind(now)).await
    }

    /// A project's metrics, by namespace and name; only those of `namespace`, if it is given.
    pub async fn metrics(
        &mut self,
        project: ProjectId,
        namespace: Option<&str>,
    ) -> Result<Vec<PublishedMetric>, DbError> {
        let mut sql = Sql::new("SELECT * FROM custom_metrics WHERE project_id = $1").bind(project);
        sql.and_equal("namespace", namespace);
        sql.text(" ORDER BY namespace, name, id");
        let rows = self.tx.rows("custom_points.metrics", "custom_metrics", sql).await?;
        rows.iter().map(published).collect()
    }

    /// The metric, if the project publishes it.
    pub async fn find(
        &mut self,
        project: ProjectId,
        metric: &CustomMetric,
    ) -> Result<Option<PublishedMetric>, DbError> {
        let sql = Sql::new("SELECT * FROM custom_metrics WHERE id = $1").bind(metric.id(project));
        let row = self.tx.row("custom_points.find", "custom_metrics", sql).await?;
        row.map(|row| published(&row)).transpose()
    }

    /// What was collected from `from` to `to` and has not expired, in order of time, at most `limit` values.
    pub async fn list(
        &mut self,
        project: ProjectId,
        metric: &CustomMetric,
        (from, to): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<(Timestamp, f64)>, DbError> {
        let sql = Sql::new(
            "SELECT at, value FROM custom_points
             WHERE metric_id = $1 AND at BETWEEN $2 AND $3 AND expires_at > $4 ORDER BY at LIMIT $5",
        )
        .bind(metric.id(project))
        .bind(from)
        .bind(to)
        .bind(self.tx.now())
        .bind(limit);
        let rows = self.tx.rows("custom_points.list", "custom_points", sql).await?;
        rows.iter().map(|row| Ok((row.time("at")?, row.json("value")?))).collect()
    }

    /// Forgets at most `limit` values that have expired, and metrics that have none left; says how many values.
    pub async fn forget(&mut self, limit: u32) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM custom_points WHERE (metric_id, at) IN
                 (SELECT metric_id, at FROM custom_points WHERE expires_at <= $1
                  ORDER BY expires_at LIMIT $2)",
        );
        let sql = sql.bind(self.tx.now()).bind(limit);
        let gone = self.tx.execute("custom_points.forget", sql).await?;
        if gone > 0 {
            let sql = Sql::new(
                "DELETE FROM custom_metrics WHERE NOT EXISTS
                     (SELECT 1 FROM custom_points p WHERE p.metric_id = custom_metrics.id)",
            );
            self.tx.execute("custom_points.forget", sql).await?;
        }
        Ok(gone)
    }
}

fn published(row: &Row) -> Result<PublishedMetric, DbError> {
    let dimensions = row.json("dimensions")?;
    Ok(PublishedMetric {
        metric: CustomMetric::new(row.text("namespace")?, row.text("name")?, dimensions),
        unit: row.text("unit")?,
    })
}
