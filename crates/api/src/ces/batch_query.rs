//! Values of many metrics at once (contract F.6).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::metric::Metric;
use cbr_service::monitoring::MetricKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{self, Dimension, metric, point, vault};
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
    metric_name: &'static str,
    unit: &'static str,
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
    // What is no id has no values; all others are asked for at once.
    let known: Vec<MetricKey> = keys.iter().filter_map(|(_, key)| *key).collect();
    let mut series = match known.as_slice() {
        [] if !keys.is_empty() => Vec::new(),
        known => api.services.monitoring.series(&access, known, query).await?,
    }
    .into_iter();
    let mut metrics = Vec::with_capacity(keys.len());
    for (wanted, (metric, key)) in request.metrics.into_iter().zip(keys) {
        let points = key.and_then(|_| series.next()).map(|one| one.points).unwrap_or_default();
        metrics.push(Values {
            namespace: wanted.namespace,
            metric_name: metric.as_str(),
            unit: metric.unit(),
            dimensions: wanted.dimensions,
            datapoints: points.into_iter().map(|one| point(one, query.filter, None)).collect(),
        });
    }
    Ok(Json(Response { metrics }))
}

impl Wanted {
    fn read(&self) -> Result<(Metric, Option<MetricKey>), ApiError> {
        let metric = metric(&self.namespace, &self.metric_name)?;
        let [dimension] = self.dimensions.as_slice() else {
            return Err(ApiError::invalid("metrics.dimensions", "one, `instance_id`"));
        };
        let vault = vault(&dimension.name, &dimension.value)?;
        Ok((metric, vault.map(|vault| MetricKey { vault, metric })))
    }
}
