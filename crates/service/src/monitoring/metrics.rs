//! Which metrics there are, and their values (contract F.6, MON-05).

use cbr_db::Tx;
use cbr_model::metric::{Metric, PERIODS, Width, series};
use cbr_model::query::{Page, VaultFilter};
use cbr_model::{ProjectId, VaultId};

use super::requests::{MetricKey, MetricQuery, Series};
use super::service::Monitoring;
use crate::error::db;
use crate::{Access, Error, Result};

/// Most series in one question (contract F.6).
const SERIES_MAX: usize = 500;
/// Most kept rows that are read for one series: a year of hours, or three months of quarters.
const ROWS_MAX: u32 = 10_000;
/// Most kept rows that are read for one question.
const ROWS_OF_ALL_MAX: i64 = 200_000;

impl Monitoring {
    /// The metrics of the project's vaults, in order: of one vault, or of all of them.
    pub async fn list_metrics(
        &self,
        access: &Access,
        vault: Option<VaultId>,
        metric: Option<Metric>,
    ) -> Result<Vec<MetricKey>> {
        let doing = "listing metrics";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let mut vaults = match vault {
            Some(vault) => {
                let found = tx.vaults().find(access.project(), vault).await.map_err(db(doing))?;
                found.into_iter().map(|vault| vault.id).collect()
            }
            None => all_vaults(&mut tx, access.project()).await?,
        };
        vaults.sort_unstable();
        let of_vault = |vault| {
            let all = Metric::ALL.into_iter();
            all.filter(move |one| metric.is_none_or(|wanted| wanted == *one))
                .map(move |metric| MetricKey { vault, metric })
        };
        Ok(vaults.into_iter().flat_map(of_vault).collect())
    }

    /// Values of metrics. What was never measured, and another project's, has none.
    pub async fn series(
        &self,
        access: &Access,
        keys: &[MetricKey],
        query: MetricQuery,
    ) -> Result<Vec<Series>> {
        check(keys, query)?;
        let width = Width::for_period(query.period);
        let (from, to) = (query.from, query.to);
        let range = (first_slot(width, query), width.slot_at(to));
        let mut tx = self.core.db.read().await.map_err(db("reading metrics"))?;
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            let owner = (access.project(), key.vault);
            let points = tx.vault_points().list(owner, width, range, ROWS_MAX).await;
            let points = points.map_err(db("reading metrics"))?;
            let mut points = series(&points, key.metric, query.period, query.filter);
            let first = from.seconds().div_euclid(i64::from(query.period));
            points.retain(|point| point.begin.div_euclid(i64::from(query.period)) >= first);
            all.push(Series { key: *key, points });
        }
        Ok(all)
    }
}

/// The slot that the first period begins in: periods are whole.
fn first_slot(width: Width, query: MetricQuery) -> i64 {
    let period = i64::from(query.period);
    let begin = query.from.seconds().div_euclid(period) * period;
    begin.div_euclid(width.seconds())
}

fn check(keys: &[MetricKey], query: MetricQuery) -> Result<()> {
    if keys.is_empty() || keys.len() > SERIES_MAX {
        return Err(Error::invalid("metrics", format!("1 to {SERIES_MAX} of them")));
    }
    check_query(query)?;
    let width = Width::for_period(query.period);
    let rows = width.slot_at(query.to).saturating_sub(first_slot(width, query));
    if rows >= i64::from(ROWS_MAX) || rows.saturating_mul(keys.len() as i64) > ROWS_OF_ALL_MAX {
        let reason = "too much at once: ask for a shorter time, a longer period or fewer metrics";
        return Err(Error::invalid("from", reason));
    }
    Ok(())
}

/// Whether the times make sense.
pub(super) fn check_query(query: MetricQuery) -> Result<()> {
    if !PERIODS.contains(&query.period) {
        return Err(Error::invalid("period", "1, 300, 1200, 3600, 14400 or 86400 seconds"));
    }
    if query.from >= query.to {
        return Err(Error::invalid("from", "must be before `to`"));
    }
    Ok(())
}

/// All vaults of a project.
pub(crate) async fn all_vaults(tx: &mut Tx, project: ProjectId) -> Result<Vec<VaultId>> {
    let mut ids = Vec::new();
    let mut page = Page::default();
    loop {
        let listed = tx.vaults().list(project, &VaultFilter::default(), &page).await;
        let rows = listed.map_err(db("listing vaults"))?.rows;
        let is_last = rows.len() < page.limit as usize;
        page.marker = rows.last().map(|vault| vault.id.as_uuid());
        ids.extend(rows.into_iter().map(|vault| vault.id));
        if is_last {
            return Ok(ids);
        }
    }
}
