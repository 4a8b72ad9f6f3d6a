//! Metrics that users publish themselves (contract F.6): kept as they come, for as long as they say.

use std::collections::BTreeMap;

use cbr_db::PublishedMetric;
use cbr_model::custom_metric::{CustomMetric, CustomValue, Wrong};
use cbr_model::metric::{DataPoint, Summary, joined_by_period};
use cbr_model::{ProjectId, Timestamp};

use super::metrics::check_query;
use super::requests::MetricQuery;
use super::service::Monitoring;
use crate::error::db;
use crate::{Access, Error, Result};

/// Most values in one request.
const VALUES_MAX: usize = 1000;
/// Most metrics of a project.
const METRICS_MAX: u64 = 1000;
/// Most values of a metric that are kept: one a minute for a week, and those that come at the same time.
const KEPT_MAX: u64 = 7 * 24 * 60 + 60;
/// Most of them that are read for one series.
const READ_MAX: u32 = 11_000;
/// Values that are forgotten in one transaction.
const FORGET: u32 = 5000;

impl Monitoring {
    /// Keeps values of metrics of the project's own: all of them, or none. The same again changes nothing.
    pub async fn publish(&self, access: &Access, values: &[CustomValue]) -> Result<()> {
        let doing = "keeping published values";
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(Error::invalid("body", format!("1 to {VALUES_MAX} values")));
        }
        let (project, now) = (access.project(), self.core.clock.now());
        for value in values {
            value.check(now).map_err(|Wrong { field, why }| Error::invalid(field, why))?;
        }
        self.check_room_for(project, values).await?;
        // Numbers come every minute, and are no change that somebody has to answer for: no record.
        let mut tx = self.core.change(access, doing).await?;
        for value in values {
            tx.custom_points().record(project, value).await.map_err(db(doing))?;
        }
        tx.commit_recorded().await
    }

    /// Whether a project may have so many more. Looked at before anything is written, because it takes longer than
    /// others should wait: requests at the same time may go beyond it by what they bring.
    async fn check_room_for(&self, project: ProjectId, values: &[CustomValue]) -> Result<()> {
        let doing = "counting published values";
        let mut new: BTreeMap<&CustomMetric, u64> = BTreeMap::new();
        for value in values {
            *new.entry(&value.metric).or_default() += 1;
        }
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let mut metrics = tx.custom_points().count(project).await.map_err(db(doing))?;
        for (metric, more) in new {
            let kept = tx.custom_points().count_of(project, metric).await.map_err(db(doing))?;
            if kept + more > KEPT_MAX {
                let reason = format!("of {} {KEPT_MAX} values are kept already", metric.name);
                return Err(Error::invalid("metric", reason));
            }
            metrics += u64::from(kept == 0);
        }
        if metrics > METRICS_MAX {
            let reason = format!("a project publishes at most {METRICS_MAX} metrics");
            return Err(Error::invalid("metric", reason));
        }
        Ok(())
    }

    /// What the project publishes, in order; of one namespace, or of all.
    pub async fn published(
        &self,
        access: &Access,
        namespace: Option<&str>,
    ) -> Result<Vec<PublishedMetric>> {
        let doing = "listing published metrics";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        tx.custom_points().metrics(access.project(), namespace).await.map_err(db(doing))
    }

    /// Values of a published metric, and its unit; none: the project publishes no such metric.
    pub async fn published_series(
        &self,
        access: &Access,
        metric: &CustomMetric,
        query: MetricQuery,
    ) -> Result<Option<(PublishedMetric, Vec<DataPoint>)>> {
        check_query(query)?;
        let doing = "reading published values";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let project = access.project();
        let found = tx.custom_points().find(project, metric).await.map_err(db(doing))?;
        let Some(found) = found else { return Ok(None) };
        // Periods are whole.
        let period = i64::from(query.period.max(1));
        let first = query.from.seconds().div_euclid(period).saturating_mul(period);
        let range = (Timestamp(0).plus_seconds(first), query.to);
        let values = tx.custom_points().list(project, metric, range, READ_MAX).await;
        let values = values.map_err(db(doing))?;
        let summed = values.into_iter().map(|(at, value)| (at.seconds(), Summary::of(value)));
        Ok(Some((found, joined_by_period(summed, query.period, query.filter))))
    }

    /// Forgets published values that have expired; says how many.
    pub(crate) async fn forget_published(&self) -> Result<u64> {
        let doing = "forgetting published values";
        let mut count = 0;
        loop {
            let mut tx = self.core.db.begin().await.map_err(db(doing))?;
            let gone = tx.custom_points().forget(FORGET).await.map_err(db(doing))?;
            tx.commit().await.map_err(db(doing))?;
            count += gone;
            if gone < u64::from(FORGET) {
                return Ok(count);
            }
        }
    }
}
