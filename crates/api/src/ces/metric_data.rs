//! Values of one metric (contract F.6, MON-05).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::monitoring::MetricKey;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::wire::{self, Dimension, custom, dimension, is_custom, metric, point};
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
        parameter("namespace", Form::Text, "`SYS.CBR`, or one of your own."),
        parameter(
            "metric_name",
            Form::Text,
            "`used_vault_size`, `vault_util` or `vault_util_raw`; or one of your own.",
        ),
        parameter(
            "dim.0",
            Form::Text,
            "The vault: `instance_id,<id>`; or the first of your own: `<name>,<value>`.",
        ),
        parameter("dim.1", Form::Text, "The second of your own."),
        parameter("dim.2", Form::Text, "The third of your own."),
        parameter("dim.3", Form::Text, "The fourth of your own."),
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
    metric_name: String,
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
    let number = |key| query.value::<i64>(key)?.ok_or_else(|| missing(key));
    let period = u32::try_from(number("period")?).unwrap_or(0);
    let wanted = wire::query(text("filter")?, period, number("from")?, number("to")?)?;
    let (namespace, name) = (text("namespace")?, text("metric_name")?);
    if is_custom(namespace) {
        let own = custom(namespace.to_owned(), name.to_owned(), dimensions(&query)?);
        let found = api.services.monitoring.published_series(&access, &own, wanted).await?;
        let (unit, points) =
            found.map(|(metric, points)| (metric.unit, points)).unwrap_or_default();
        let points = points.into_iter().map(|one| point(one, wanted.filter, Some(&unit)));
        return Ok(Json(Response { metric_name: own.name, datapoints: points.collect() }));
    }
    let metric = metric(namespace, name)?;
    let vault = dimension(text("dim.0")?)?;
    let mut datapoints = Vec::new();
    if let Some(vault) = vault {
        let keys = [MetricKey { vault, metric }];
        for series in api.services.monitoring.series(&access, &keys, wanted).await? {
            let unit = Some(metric.unit());
            let points = series.points.into_iter();
            datapoints.extend(points.map(|one| point(one, wanted.filter, unit)));
        }
    }
    Ok(Json(Response { metric_name: metric.as_str().to_owned(), datapoints }))
}

/// `dim.0` to `dim.3`.
fn dimensions(query: &Query) -> Result<Vec<Dimension>, ApiError> {
    let mut found = Vec::new();
    for key in ["dim.0", "dim.1", "dim.2", "dim.3"] {
        let Some(text) = query.text(key) else { continue };
        let (name, value) = text
            .split_once(',')
            .ok_or_else(|| ApiError::invalid(key, "write it as <name>,<value>"))?;
        found.push(Dimension { name: name.to_owned(), value: value.to_owned() });
    }
    if found.is_empty() { Err(missing("dim.0")) } else { Ok(found) }
}

fn missing(key: &str) -> ApiError {
    ApiError::invalid(key, "it is needed")
}
