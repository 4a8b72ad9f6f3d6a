//! Values of one metric (contract F.6, MON-05).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::monitoring::MetricKey;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{self, dimension, metric, point};
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMetricData",
    verb: Verb::Get,
    path: "/V1.0/{project_id}/metric-data",
    group: "Monitoring",
    summary: "Shows values of a metric: one for each period in which the vault was measured.",
    admission: Admission::Project,
    action: Some("ces:metricData:get"),
    event: None,
    success: 200,
    query: &[
        parameter("namespace", Form::Text, "`SYS.CBR`."),
        parameter(
            "metric_name",
            Form::Text,
            "`used_vault_size`, `vault_util` or `vault_util_raw`.",
        ),
        parameter("dim.0", Form::Text, "The vault: `instance_id,<id>`."),
        parameter("filter", Form::Text, "`average`, `max`, `min`, `sum` or `variance`."),
        parameter(
            "period",
            Form::Integer,
            "Seconds: 1 (as measured), 300, 1200, 3600, 14400 or 86400.",
        ),
        parameter("from", Form::Integer, "Not before this time, in milliseconds since 1970."),
        parameter("to", Form::Integer, "Not after this time, in milliseconds since 1970."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowMetricDataResponse)]
struct Response {
    metric_name: &'static str,
    /// Each has `timestamp` (milliseconds), `unit`, and the value under the name of the filter.
    datapoints: Vec<Value>,
}

/// `GET /V1.0/{project_id}/metric-data`
#[tracing::instrument(name = "api.metrics.data", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let text = |key| query.text(key).ok_or_else(|| missing(key));
    let metric = metric(text("namespace")?, text("metric_name")?)?;
    let vault = dimension(text("dim.0")?)?;
    let number = |key| query.value::<i64>(key)?.ok_or_else(|| missing(key));
    let period = u32::try_from(number("period")?).unwrap_or(0);
    let wanted = wire::query(text("filter")?, period, number("from")?, number("to")?)?;
    let mut datapoints = Vec::new();
    if let Some(vault) = vault {
        let keys = [MetricKey { vault, metric }];
        for series in api.services.monitoring.series(&access, &keys, wanted).await? {
            let unit = Some(metric.unit());
            let points = series.points.into_iter();
            datapoints.extend(points.map(|one| point(one, wanted.filter, unit)));
        }
    }
    Ok(Json(Response { metric_name: metric.as_str(), datapoints }))
}

fn missing(key: &str) -> ApiError {
    ApiError::invalid(key, "it is needed")
}
