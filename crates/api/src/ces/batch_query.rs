//! Values of many metrics at once (contract F.6).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::custom_metric::CustomMetric;
use cbr_model::metric::Metric;
use cbr_service::monitoring::MetricKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{self, Dimension, custom, is_custom, metric, point, vault};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "BatchListMetricData",
    verb: Verb::Post,
    path: "/V1.0/{project_id}/batch-query-metric-data",
    group: "Monitoring",
    summary: "Shows values of up to 500 metrics.",
    admission: Admission::Project,
    action: Some("ces:metricData:list"),
    event: None,
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchListMetricDataRequest)]
struct Request {
    /// 1 to 500 of them.
    metrics: Vec<Wanted>,
    /// Seconds, as text: `1`, `300`, `1200`, `3600`, `14400` or `86400`.
    period: String,
    /// `average`, `max`, `min`, `sum` or `variance`
    filter: String,
    /// Milliseconds since 1970.
    from: i64,
    /// Milliseconds since 1970.
    to: i64,
}

/// A metric.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WantedMetric)]
struct Wanted {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchListMetricDataResponse)]
struct Response {
    /// In the order of the request.
    metrics: Vec<Values>,
}

/// Values of a metric.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricValues)]
struct Values {
    namespace: String,
    metric_name: String,
    unit: String,
    dimensions: Vec<Dimension>,
    /// Each has `timestamp` (milliseconds), and the value under the name of the filter.
    datapoints: Vec<Value>,
}

/// `POST /V1.0/{project_id}/batch-query-metric-data`
#[tracing::instrument(name = "api.metrics.batch", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let period = request.period.parse().unwrap_or(0);
    let query = wire::query(&request.filter, period, request.from, request.to)?;
    let mut keys = Vec::with_capacity(request.metrics.len());
    for wanted in &request.metrics {
        keys.push(wanted.read()?);
    }
    // What is no id has no values; all others are asked for at once. It says as well how many there may be.
    let known: Vec<MetricKey> = keys.iter().filter_map(Asked::key).collect();
    let is_of_vaults = keys.is_empty() || !known.is_empty();
    let monitoring = &api.services.monitoring;
    let mut series = match known.as_slice() {
        known if is_of_vaults => monitoring.series(&access, known, query).await?,
        _ => Vec::new(),
    }
    .into_iter();
    let own = keys.iter().filter(|one| matches!(one, Asked::Own(_))).count();
    if own > OWN_MAX {
        let why = format_args!("at most {OWN_MAX} of your own at once");
        return Err(ApiError::invalid("metrics", why));
    }
    let mut metrics = Vec::with_capacity(keys.len());
    for (wanted, asked) in request.metrics.into_iter().zip(keys) {
        let (unit, points) = match asked {
            Asked::OfVault(metric, key) => {
                let points = key.and_then(|_| series.next()).map(|one| one.points);
                (metric.unit().to_owned(), points.unwrap_or_default())
            }
            Asked::Own(metric) => {
                let found = monitoring.published_series(&access, &metric, query).await?;
                found.map(|(metric, points)| (metric.unit, points)).unwrap_or_default()
            }
        };
        metrics.push(Values {
            namespace: wanted.namespace,
            metric_name: wanted.metric_name,
            unit,
            dimensions: wanted.dimensions,
            datapoints: points.into_iter().map(|one| point(one, query.filter, None)).collect(),
        });
    }
    Ok(Json(Response { metrics }))
}

/// Most metrics of a user's own in one question.
const OWN_MAX: usize = 20;

/// What one of the metrics is.
enum Asked {
    /// Of a vault; none: no id of one.
    OfVault(Metric, Option<MetricKey>),
    /// Of a user's own.
    Own(CustomMetric),
}

impl Asked {
    fn key(&self) -> Option<MetricKey> {
        match self {
            Self::OfVault(_, key) => *key,
            Self::Own(_) => None,
        }
    }
}

impl Wanted {
    fn read(&self) -> Result<Asked, ApiError> {
        if is_custom(&self.namespace) {
            let (namespace, name) = (self.namespace.clone(), self.metric_name.clone());
            return Ok(Asked::Own(custom(namespace, name, self.dimensions.clone())));
        }
        let metric = metric(&self.namespace, &self.metric_name)?;
        let [dimension] = self.dimensions.as_slice() else {
            return Err(ApiError::invalid("metrics.dimensions", "one, `instance_id`"));
        };
        let vault = vault(&dimension.name, &dimension.value)?;
        Ok(Asked::OfVault(metric, vault.map(|vault| MetricKey { vault, metric })))
    }
}
